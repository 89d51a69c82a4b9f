"""`imagint copies update`, `verify`, `collect`: a tenant's tree copies, what it lives on when the database is lost."""

from __future__ import annotations

import click

from imagint_privacy.cli.opening import (
    EPILOG,
    INCOMPLETE,
    copies_of,
    database_of,
    explained,
    key_of,
    library_of,
    show,
)
from imagint_privacy.cli.places import Place, place_options
from imagint_privacy.cli.progress import shown
from imagint_privacy.records.collecting import Collected, collect_copy, collect_nodes
from imagint_privacy.records.copying import begin_anew
from imagint_privacy.records.recovering import held_generation
from imagint_privacy.records.verifying import CopyVerified, verify_held, verify_opening

json_option = click.option("--json", "as_json", is_flag=True, help="Answer in JSON, for programs.")


@click.group()
def copies() -> None:
    """Keep and check the copies of a tenant's key tree."""


@copies.command(epilog=EPILOG)
@click.option("--whole", is_flag=True, help="Write every node again, not only new ones: mends what verify found.")
@json_option
@place_options
def update(place: Place, whole: bool, as_json: bool) -> None:
    """Bring every copy to the current tree, as a Gateway does every minute."""
    with explained(json_too=as_json), library_of(place) as library:
        if whole:
            begin_anew(library.context)
        made = library.copy_tree()
    if as_json:
        show({"copies": made})
        return
    for copy in made:
        click.echo(f"{copy.store} holds generation {copy.generation}")


@copies.command(epilog=EPILOG)
@click.option("--without-keys", is_flag=True, help="Compare with the database instead of opening; asks Vault nothing.")
@json_option
@place_options
def verify(place: Place, without_keys: bool, as_json: bool) -> None:
    """Read every copy back: each node that its root needs must be there and open.

    With --without-keys, each node of the database that the copy must hold is there and is what was written.
    """
    with explained(json_too=as_json), shown("nodes", quiet=as_json) as step, database_of(place) as database:
        newest, key = held_generation(place.tenant, database), key_of(place)
        found = [
            verify_held(database, store, lambda nodes: step(nodes, None))
            if without_keys
            else verify_opening(place.tenant, store, key, lambda nodes: step(nodes, None))
            for store in copies_of(place)
        ]
    if as_json:
        show({"generation": newest, "copies": [{**_fields(copy), "whole": copy.whole} for copy in found]})
    else:
        for copy in found:
            click.echo(_verified(copy, newest))
    if not all(copy.whole for copy in found):
        raise SystemExit(INCOMPLETE)


def _fields(copy: CopyVerified) -> dict[str, object]:
    return {name: getattr(copy, name) for name in ("store", "generation", "nodes", "missing", "damaged", "subjects")}


def _verified(copy: CopyVerified, newest: int) -> str:
    if not copy.generation:
        return f"{copy.store} holds no tree"
    state = "whole" if copy.whole else f"{copy.missing} missing, {copy.damaged} damaged"
    behind = f", {newest - copy.generation} generations behind" if copy.generation < newest else ""
    return f"{copy.store}: generation {copy.generation}{behind}, {copy.nodes} nodes, {state}"


@copies.command(epilog=EPILOG)
@click.option("--apply", is_flag=True, help="Delete; without it, only look.")
@click.option("--nodes", is_flag=True, help="Look in the database too; needs Vault.")
@json_option
@place_options
def collect(place: Place, apply: bool, nodes: bool, as_json: bool) -> None:
    """Find what nothing needs in the copies: left-overs of crashes. Never what a root needs."""
    with explained(json_too=as_json), database_of(place) as database:
        found = [collect_copy(database, store, apply=apply) for store in copies_of(place)]
        if nodes:
            found.append(collect_nodes(place.tenant, database, key_of(place), apply=apply))
    if as_json:
        show({"applied": apply, "places": found})
        return
    for part in found:
        click.echo(_collected(part))
    if not apply and any(part.garbage for part in found):
        click.echo("nothing was changed: --apply deletes")


def _collected(part: Collected) -> str:
    return f"{part.store}: {part.listed} listed, {part.garbage} needed by nothing, {part.deleted} deleted"
