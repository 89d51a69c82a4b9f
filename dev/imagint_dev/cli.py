"""The commands of the embedded stack: build, up, down, status, kubectl, env. `imagint` finds them in `commands`.

They must never use a cluster, Vault or Ray that the environment names: only what options say.
"""

from __future__ import annotations

import os
import shlex
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from pydantic import ValidationError
from rich.console import Console

from imagint_dev import binaries, files, processes, tables, tenants
from imagint_dev.admission import Mode
from imagint_dev.demo.command import demo
from imagint_dev.errors import AlreadyRunningError, StackError
from imagint_dev.options import EVERYTHING, StackOptions
from imagint_dev.stack import Stack

_EXISTING = click.Path(exists=True, dir_okay=False, path_type=Path, resolve_path=True)

state_option = click.option(
    "--state",
    type=click.Path(file_okay=False, path_type=Path),
    help="The stack's folder (default: $IMAGINT_STATE, else ./.imagint/stack). Two folders are two stacks.",
)


@contextmanager
def _explained() -> Iterator[None]:
    """Turns our errors into a message and exit status 1."""
    try:
        yield
    except StackError as error:
        raise click.ClickException(str(error)) from error


@click.command()
def build() -> None:
    """Build the stack's programs from source; does nothing when they are there."""
    console = Console()
    with _explained():
        if not binaries.build(console):
            console.print("everything is built")


@click.command()
@state_option
@click.option(
    "--without", multiple=True, metavar="PART", type=click.Choice(sorted(EVERYTHING)), help="Leave a part out."
)
@click.option("--kubeconfig", type=_EXISTING, help="Use this cluster instead of an own control plane.")
@click.option("--vault-addr", metavar="URL", help="Use this Vault (1.13 or newer) or OpenBao instead of an own one.")
@click.option("--vault-token-file", type=_EXISTING, help="A token for it that may set up mounts, policies and roles.")
@click.option("--ray-dashboard", metavar="URL", help="Use this Ray cluster (its dashboard's address).")
@click.option("--ray-token-file", type=_EXISTING, help="The token of that Ray cluster.")
@click.option("--serve-url", metavar="URL", help="Where its Serve answers (default: its host, port 8000).")
@click.option(
    "--ray-cpus", type=click.IntRange(2, 1024), default=16, show_default=True, help="Logical CPUs of own Ray."
)
@click.option(
    "--admission",
    type=click.Choice([mode.value for mode in Mode]),
    default=Mode.DENY.value,
    envvar="IMAGINT_ADMISSION",
    show_default=True,
    help="What the admission policies do: Warn tells and records, Deny refuses.",
)
@click.option("--timeout", type=float, default=300.0, show_default=True, help="Give up after so many seconds.")
def up(state: Path | None, without: tuple[str, ...], timeout: float, **given: Any) -> None:
    """Start the stack, or say that it runs already.

    The first time it builds everything from source (minutes); after that it takes seconds. Ctrl-C leaves nothing
    running.
    """
    console = Console()
    given["vault_address"] = given.pop("vault_addr")
    stack = Stack(state, console=console)
    try:
        options = StackOptions(parts=EVERYTHING - set(without), **given)
    except ValidationError as error:
        raise click.UsageError("; ".join(str(problem["msg"]) for problem in error.errors())) from None
    with _explained():
        try:
            began = time.monotonic()
            with _showing(console) as seen:
                stack.start(options, detach=True, timeout=timeout, seen=seen)
            console.print(f"ready after {time.monotonic() - began:.1f} s", highlight=False)
        except AlreadyRunningError:
            console.print(f"already running in {stack.folder.root}", highlight=False, soft_wrap=True)
            stack.wait_ready(timeout=timeout)
    _hints(console, stack)


@contextmanager
def _showing(console: Console) -> Iterator[Callable[[dict[str, Any]], None] | None]:
    """A line that changes on a terminal, nothing elsewhere. It starts with the first record, after any build."""
    if not console.is_terminal:
        yield None
        return
    status = console.status("starting")

    def seen(record: dict[str, Any]) -> None:
        status.start()
        status.update(tables.progress(record))

    try:
        yield seen
    finally:
        status.stop()


def _hints(console: Console, stack: Stack) -> None:
    for name, url in sorted(stack.record().get("urls", {}).items()):
        console.print(f"  {name:<17} {url}", highlight=False, soft_wrap=True)
    console.print(f"  {'kubeconfig':<17} {stack.kubeconfig}", highlight=False, soft_wrap=True)
    console.print(f"  {'logs':<17} {stack.path('log')}", highlight=False, soft_wrap=True)


@click.command()
@state_option
@click.option("--purge", is_flag=True, help="Remove the folder too: data, keys, logs.")
def down(state: Path | None, purge: bool) -> None:
    """Stop the stack; its data stays for the next `up`."""
    stack = Stack(state)
    with _explained():
        ran = stack.down(purge=purge)
    click.echo(("stopped" if ran else "nothing was running") + (", folder removed" if purge else ""))


@click.command()
@state_option
def status(state: Path | None) -> None:
    """Show every part; exit status 0 when all are ready."""
    stack, console = Stack(state), Console()
    if not stack.is_running():
        console.print(f"no stack runs in {stack.folder.root}", highlight=False, soft_wrap=True)
        sys.exit(3)
    record = stack.record()
    console.print(tables.overview(record, memory=tables.memory_by_part(record), now=time.time()))
    sys.exit(0 if record.get("ready") else 1)


@click.command(context_settings={"ignore_unknown_options": True, "help_option_names": []}, add_help_option=False)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def kubectl(arguments: tuple[str, ...]) -> None:
    """Run kubectl on the stack of $IMAGINT_STATE or ./.imagint/stack; --state DIR may come first."""
    state, rest = _leading_state(list(arguments))
    stack = Stack(state)
    if not stack.kubeconfig.exists():
        raise click.ClickException(f"there is no stack in {stack.folder.root}")
    command = stack.kubectl_command(*rest)
    os.execvpe(command[0], command, processes.scrubbed(dict(os.environ)))  # noqa: S606


def _leading_state(arguments: list[str]) -> tuple[Path | None, list[str]]:
    """Takes --state off the front, where kubectl itself has no such option."""
    if arguments[:1] == ["--state"] and len(arguments) > 1:
        return Path(arguments[1]), arguments[2:]
    if arguments and arguments[0].startswith("--state="):
        return Path(arguments[0].partition("=")[2]), arguments[1:]
    return None, arguments


@click.command()
@state_option
def env(state: Path | None) -> None:
    """Print exports for a shell: eval "$(imagint env)"."""
    stack = Stack(state)
    record = files.read_json(stack.folder.record)
    if not stack.is_running() or "urls" not in record:
        raise click.ClickException(f"no stack runs in {stack.folder.root}")
    variables = {
        "IMAGINT_STATE": str(stack.folder.root),
        "KUBECONFIG": str(stack.kubeconfig),
        "VAULT_ADDR": record["urls"]["vault"],
        "RAY_API_SERVER_ADDRESS": record["urls"]["ray_dashboard"],
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": record["ray_token_file"],
        "PATH": f"{binaries.path_of('kubectl').parent}:{os.environ.get('PATH', '')}",
    }
    for name, value in variables.items():
        click.echo(f"export {name}={shlex.quote(value)}")


def tenant_settings(state: Path, tenant: str) -> Mapping[str, Any]:
    """Say where the stack keeps a tenant; `imagint restore --state` asks.

    Raises:
        click.ClickException: no stack runs there, or it has no such tenant.
    """
    with _explained():
        return tenants.settings_of(state, tenant)


commands = [build, up, down, status, kubectl, env, demo]
