"""How far a long command is: a bar on a terminal, now and then a line elsewhere; never in the answer itself."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import Final

import click

Step = Callable[[int, int | None], None]
_LINES: Final = 10
_EVERY: Final = 10_000


@contextlib.contextmanager
def shown(what: str, *, quiet: bool) -> Iterator[Step]:
    """Give what hears how much is done, and of how much if that is known."""
    if quiet:
        yield lambda _done, _total: None
    elif sys.stderr.isatty():
        with _bar(what) as step:
            yield step
    else:
        yield _Lines(what)


@contextlib.contextmanager
def _bar(what: str) -> Iterator[Step]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(what, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


class _Lines:
    """A line for each tenth, or for every ten thousand where nobody knows how many there are."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._next = 0

    def __call__(self, done: int, total: int | None) -> None:
        if done < self._next and done != total:
            return
        self._next = done + max(1, -(-total // _LINES) if total else _EVERY)
        click.echo(f"{self._what}: {done}" + (f" of {total}" if total is not None else ""), err=True)
