"""Shows how far a build is: bars on a terminal, a plain line now and then elsewhere.

The figures are real: packages that `go build -v` has compiled, of those that `go list -deps` counts. Packages that Go
finds in its own cache are not printed, so a bar may jump to its end.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as RichProgress
from rich.table import Column

_EVERY = 15.0


class Progress(Protocol):
    """What a build tells."""

    def add(self, name: str) -> None:
        """A program will be built."""

    def start(self, name: str, total: int) -> None:
        """Its packages are counted, compiling begins."""

    def line(self, name: str, text: str, package: bool) -> None:
        """Go printed a line; `package` when it names a package that is compiled now."""

    def done(self, name: str, seconds: float) -> None:
        """It is built."""


class Bars:
    """One bar per program."""

    def __init__(self, bars: RichProgress) -> None:
        self._bars = bars
        self._tasks: dict[str, TaskID] = {}
        self._fetched = 0

    def add(self, name: str) -> None:
        """Shows a waiting bar."""
        self._tasks[name] = self._bars.add_task(name, total=None, start=False, detail="waiting")

    def start(self, name: str, total: int) -> None:
        """Starts the bar's clock."""
        self._bars.start_task(self._tasks[name])
        self._bars.update(self._tasks[name], total=total, detail="compiling")

    def line(self, name: str, text: str, package: bool) -> None:
        """Moves the bar, or says what is fetched."""
        if package:
            self._bars.update(self._tasks[name], advance=1, detail=text[-40:])
        elif text.startswith("go: downloading"):
            self._fetched += 1
            self._bars.update(self._tasks[name], detail=f"fetching modules ({self._fetched})")

    def done(self, name: str, seconds: float) -> None:
        """Fills the bar."""
        task = self._bars.tasks[self._bars.task_ids.index(self._tasks[name])]
        self._bars.update(self._tasks[name], completed=task.total or 1, detail=f"done in {seconds:.0f} s")


class Lines:
    """A line at start and end of each program, and one every 15 seconds."""

    def __init__(self, say: Callable[[str], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._say, self._clock = say, clock
        self._count, self._total, self._fetched, self._last = 0, 0, 0, clock()

    def add(self, name: str) -> None:
        """Nothing to say yet."""

    def start(self, name: str, total: int) -> None:
        """Says what begins."""
        self._count, self._total = 0, total
        self._say(f"{name}: compiling up to {total} packages")

    def line(self, name: str, text: str, package: bool) -> None:
        """Counts, and speaks up now and then."""
        self._count += package
        self._fetched += text.startswith("go: downloading")
        if self._clock() - self._last >= _EVERY:
            self._last = self._clock()
            done = f"{self._count} of {self._total} packages" if self._count else f"{self._fetched} modules fetched"
            self._say(f"{name}: {done}")

    def done(self, name: str, seconds: float) -> None:
        """Says what is built."""
        self._say(f"{name}: built in {seconds:.0f} s")


@contextmanager
def progress_on(console: Console) -> Iterator[Progress]:
    """The display that suits the console."""
    if not console.is_terminal:
        yield Lines(lambda text: console.print(text, highlight=False))
        return
    columns = (
        TextColumn("{task.description:<24}"),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("[dim]{task.fields[detail]}", table_column=Column(no_wrap=True)),
    )
    with RichProgress(*columns, console=console) as bars:
        yield Bars(bars)
