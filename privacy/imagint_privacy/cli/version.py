"""`imagint version`."""

from __future__ import annotations

from importlib import metadata

import click


def installed_version() -> str:
    """The version of the installed distribution, or what a bare source tree can say."""
    try:
        return metadata.version("imagint")
    except metadata.PackageNotFoundError:
        return "0+unknown"


@click.command()
def version() -> None:
    """Print the version."""
    click.echo(f"imagint {installed_version()}")
