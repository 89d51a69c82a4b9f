"""`imagint demo`: starts a stack of its own, tells the story, writes what it measured, stops the stack."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import click
from rich.console import Console

from imagint_dev.demo.cluster import Cluster
from imagint_dev.demo.narrator import DemoFailedError, Narrator
from imagint_dev.errors import StackError
from imagint_dev.options import StackOptions
from imagint_dev.stack import Stack

MARK = ".imagint-demo"
INTRODUCTION = """\
[bold]Imagint[/bold]: an image service that can forget, and prove it.

Everything below is real: an apiserver with etcd, a Vault core, a Ray cluster, the official openai client, kubectl.
It runs in one folder, on loopback, and is gone afterwards."""


@click.command()
@click.option(
    "--state", type=click.Path(path_type=Path), default=Path(".imagint/demo"), help="Folder of the demo's stack."
)
@click.option(
    "--output", type=click.Path(path_type=Path), default=Path("demo-output"), help="Where pictures and files go."
)
@click.option("--keep", is_flag=True, help="Leave the stack running afterwards, to look around.")
def demo(state: Path, output: Path, keep: bool) -> None:
    """The whole promise on real parts, told as a story (about a minute once built)."""
    state, output = state.resolve(), Path(os.path.relpath(output))
    console = Console(width=None if sys.stdout.isatty() else 120)
    narrator = Narrator(console)
    console.print(INTRODUCTION)
    _prepare(output)
    if any(state.glob("data/*")) and not (state / MARK).exists():
        raise click.ClickException(f"{state} holds a stack that no demo made: choose another --state")
    stack = Stack(state)
    try:
        stack.down(purge=True)
        _tell(stack, narrator, output, keep=keep)
    except DemoFailedError as failed:
        console.print(
            f"\n[red]The demo stopped:[/red] {failed}\nLogs: {state / 'log'} (kept). Start over with: make demo"
        )
        stack.down()
        sys.exit(1)
    except StackError as error:
        stack.down()
        raise click.ClickException(str(error)) from error
    except BaseException:
        stack.down()
        raise
    _end(stack, narrator, output, keep=keep)


def _prepare(output: Path) -> None:
    """Make the folder anew; only what an earlier demo made is ever removed."""
    mark = output / MARK
    try:
        if output.is_dir() and any(output.iterdir()) and not mark.exists():
            raise click.ClickException(f"{output} is not empty and no demo made it: choose another --output")
        if output.is_dir():
            shutil.rmtree(output)
        output.mkdir(parents=True)
        mark.touch()
    except OSError as error:
        raise click.ClickException(f"{output} cannot be used: {error.strerror}") from None


def _tell(stack: Stack, narrator: Narrator, output: Path, *, keep: bool) -> None:
    from imagint_dev.demo import story

    narrator.chapter(
        "A real control plane, Vault and Ray start", "In one folder, on free ports of 127.0.0.1, rootless."
    )
    with narrator.step("imagint up", figure="up_s"):
        stack.start(StackOptions(), detach=keep, timeout=300)
    (stack.folder.root / MARK).touch()
    cluster = Cluster(stack.kubectl_command())
    scene = story.Scene(narrator, cluster, stack.folder.root, output, stack.url("serve"), stack.url("vault"))
    for chapter in story.CHAPTERS:
        chapter(scene)


def _end(stack: Stack, narrator: Narrator, output: Path, *, keep: bool) -> None:
    if keep:
        narrator.say(f"The stack runs on: imagint status --state {stack.folder.root}")
    else:
        narrator.console.print()
        with narrator.step("imagint down: nothing is left running", figure="down_s"):
            stack.down(purge=True)
    narrator.write_figures(output / "figures.json")
    figures = narrator.figures
    narrator.panel(
        f"tenant Ready after      {figures['tenant_ready_s']:6.1f} s\n"
        f"erasure Complete after  {figures['erase_complete_s']:6.1f} s\n"
        f"the whole story         {figures['demo_s']:6.1f} s\n\n"
        f"Look at  {output}/images.png  and  {output}/restored.png\n"
        f"Check    imagint verify {output}/certificate.json --key {output}/evidence.pub\n"
        "Explore  make up, then: .venv/bin/imagint status",
        "It held",
    )
