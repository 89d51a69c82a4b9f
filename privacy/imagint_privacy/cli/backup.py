"""`imagint backup`: one tenant's database, objects and key tree into a new folder, while the tenant is in use."""

from __future__ import annotations

from pathlib import Path

import click

from imagint_privacy.cli.opening import EPILOG, explained, library_of, show
from imagint_privacy.cli.places import Place, place_options
from imagint_privacy.cli.progress import shown
from imagint_privacy.records.backups import back_up


@click.command(epilog=EPILOG)
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Answer in JSON, for programs.")
@place_options
def backup(place: Place, folder: Path, as_json: bool) -> None:
    """Back a tenant up into FOLDER, which is made, or is empty.

    Everything in it is sealed: it opens only through the tenant's current key tree, so what is forgotten later can no
    longer be read from it.
    """
    with (
        explained(json_too=as_json),
        shown("objects copied", quiet=as_json) as step,
        library_of(place) as library,
    ):
        made = back_up(library, folder, step)
    if as_json:
        show({"folder": str(made.folder), "generation": made.generation, "records": made.records,
              "objects": made.objects, "bytes": made.bytes})  # fmt: skip
        return
    click.echo(
        f"{made.records} records, {made.objects} objects and the key tree of generation {made.generation} are in "
        f"{made.folder} ({made.bytes / 1e6:.1f} MB)"
    )
