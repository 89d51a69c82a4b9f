"""`imagint restore data` and `imagint restore tree`: what a backup or a tree copy can still give back.

Both only look, and say what they would do, until `--apply` is given. Exit codes: see `opening`.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from imagint_privacy.cli.opening import EPILOG, INCOMPLETE, copies_of, explained, key_of, library_of, show
from imagint_privacy.cli.places import Place, place_options
from imagint_privacy.cli.progress import shown
from imagint_privacy.errors import PathInvalidError
from imagint_privacy.keys.paths import check_category, check_subject
from imagint_privacy.records.database import Database
from imagint_privacy.records.entries import check_record_id
from imagint_privacy.records.recovering import Lost, recover_tree
from imagint_privacy.records.reinstating import OUTCOMES, Reinstated, reinstate
from imagint_privacy.records.restore import Selection


@click.group()
def restore() -> None:
    """Bring back a tenant's data from a backup, or its key tree from a copy."""


class Moment(click.ParamType[datetime]):
    """A moment with its zone."""

    name = "moment"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Read RFC 3339."""
        try:
            moment = datetime.fromisoformat(value)
        except (TypeError, ValueError):
            moment = None
        if moment is None or moment.tzinfo is None:
            self.fail("a moment is written like 2026-11-24T12:00:00Z", param, ctx)
        return moment.astimezone(UTC)


@restore.command(epilog=EPILOG)
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--apply", is_flag=True, help="Bring back; without it, only look.")
@click.option("--all", "everything", is_flag=True, help="Bring back all that is missing here.")
@click.option("--subject", "subjects", metavar="HANDLE", multiple=True, help="Only this subject's (repeatable).")
@click.option("--category", "categories", metavar="NAME", multiple=True, help="Only this category (repeatable).")
@click.option("--record", "records", metavar="ID", multiple=True, help="Only this record (repeatable).")
@click.option("--since", type=Moment(), help="Only what was made at this moment or later.")
@click.option("--before", type=Moment(), help="Only what was made before this moment.")
@click.option("--json", "as_json", is_flag=True, help="Answer in JSON, for programs.")
@place_options
def data(place: Place, folder: Path, apply: bool, everything: bool, as_json: bool, **selected: Any) -> None:
    """Bring records of the backup in FOLDER back that are missing in the tenant's library.

    They are read through the current key tree: what was forgotten since the backup is not brought back by anybody.
    Nothing that is here is written over. A record that its owner deleted one by one since then cannot be told from a
    lost one: so --apply wants to know which records are meant, or --all.
    """
    selection = _selection(**selected)
    if apply and selection == Selection() and not everything:
        raise click.UsageError(
            "--apply needs to know which records: --subject, --category, --record, --since, --before, or --all, which "
            "also brings back what owners deleted one by one since the backup"
        )
    with explained(json_too=as_json), shown("records", quiet=as_json) as step, library_of(place) as library:
        found = reinstate(folder, library, selection, apply=apply, progress=step)
    if as_json:
        show({"applied": found.applied, "counts": found.counts, "statements": found.statements})
    else:
        _tell(found)
    if found.damaged:
        raise SystemExit(INCOMPLETE)


def _selection(
    subjects: Sequence[str],
    categories: Sequence[str],
    records: Sequence[str],
    since: datetime | None,
    before: datetime | None,
) -> Selection:
    try:
        return Selection(
            frozenset(map(check_subject, subjects)),
            frozenset(map(check_category, categories)),
            frozenset(map(check_record_id, records)),
            since,
            before,
        )
    except PathInvalidError as error:
        raise click.UsageError(str(error)) from None


def _tell(found: Reinstated) -> None:
    for outcome, words in OUTCOMES.items():
        if count := found.counts.get(outcome, 0):
            click.echo(f"{count:>9}  {words}")
    if not found.counts:
        click.echo("the backup holds no such record")
    if found.statements:
        click.echo(f"{found.statements:>9}  tombstones and statements brought back")
    if not found.applied:
        click.echo("nothing was changed: --apply brings back")


@restore.command(epilog=EPILOG)
@click.option("--apply", is_flag=True, help="Bring back; without it, only look.")
@click.option("--json", "as_json", is_flag=True, help="Answer in JSON, for programs.")
@place_options
def tree(place: Place, apply: bool, as_json: bool) -> None:
    """Bring the newest key tree of the copies into a database that is empty or older. Stop the tenant's Gateway first.

    Every node is opened before anything is written; all copies together must have all of them. A database that holds
    this tree or a newer one is refused.
    """
    with explained(json_too=as_json), shown("nodes", quiet=as_json) as step:
        lost = Lost(place.tenant, Database(place.database), copies_of(place))
        try:
            found = recover_tree(
                lost, key_of(place), datetime.now(UTC), apply=apply, progress=lambda nodes: step(nodes, None)
            )
        finally:
            lost.database.close()
    if as_json:
        show({"applied": found.applied, "store": found.store, "generation": found.generation,
              "keyVersion": found.key_version, "nodes": found.nodes, "subjects": found.subjects,
              "replaced": found.replaced})  # fmt: skip
        return
    verb = "is now the database's" if apply else "opens whole; nothing was changed: --apply brings it back"
    click.echo(
        f"the tree of generation {found.generation} ({found.nodes} nodes, {found.subjects} subjects, key version "
        f"{found.key_version}) {verb}"
    )
