"""The `imagint` command: a group whose commands are imported only when they are called.

`imagint verify` must start within a second on a bare install, so nothing here imports Ray, torch, SQLAlchemy, hvac,
or even rich. The tools of the embedded stack join in when they are installed (`imagint_dev.cli:commands`).
"""

from __future__ import annotations

import importlib
import importlib.util
from typing import Final

import click

# Name → where the command lives. Add one here; nothing else needs to know, and nothing is imported for it.
COMMANDS: Final[dict[str, str]] = {
    "backup": "imagint_privacy.cli.backup:backup",
    "copies": "imagint_privacy.cli.copies:copies",
    "key": "imagint_privacy.cli.key:key",
    "restore": "imagint_privacy.cli.restore:restore",
    "verify": "imagint_privacy.cli.verify:verify",
    "version": "imagint_privacy.cli.version:version",
}
GUESTS: Final = "imagint_dev.cli"


class LazyGroup(click.Group):
    """A group that knows its commands by name and imports one when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Every name, the guests' included."""
        return sorted({*COMMANDS, *super().list_commands(ctx), *_guests()})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name, imported now."""
        if cmd_name in COMMANDS:
            module, _, attribute = COMMANDS[cmd_name].partition(":")
            command = getattr(importlib.import_module(module), attribute)
            assert isinstance(command, click.Command)  # noqa: S101 - the table above is ours
            return command
        return super().get_command(ctx, cmd_name) or _guests().get(cmd_name)


def _guests() -> dict[str, click.Command]:
    """The commands of the embedded stack, when it is installed and can be imported."""
    try:
        if importlib.util.find_spec(GUESTS) is None:
            return {}
        module = importlib.import_module(GUESTS)
    except ImportError as error:
        click.echo(
            f"(The commands of the embedded stack are missing here: {error}. pip install 'imagint[dev]' brings them.)",
            err=True,
        )
        return {}
    return {command.name: command for command in module.commands if command.name}


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
def main() -> None:
    """Imagint: an image-generation service whose privacy policy is kept by machines."""
