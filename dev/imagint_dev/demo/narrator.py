"""Tells the story on the terminal and keeps its figures. It shows handles, counts and times; never a key or a token."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.panel import Panel
from rich.syntax import Syntax


class DemoFailedError(Exception):
    """The story did not come true; the message says where and what to look at."""


@dataclass
class Narrator:
    """Chapters, timed steps and checks on one console; figures go to a file at the end."""

    console: Console
    figures: dict[str, float] = field(default_factory=dict)
    started: float = field(default_factory=time.monotonic)
    _chapter: int = 0

    def chapter(self, title: str, why: str) -> None:
        """Opens a numbered chapter with one or two sentences on what is about to happen."""
        self._chapter += 1
        self.console.print()
        self.console.rule(f"[bold]{self._chapter}. {escape(title)}", align="left", style="cyan")
        self.console.print(f"[dim]{escape(why)}[/dim]")

    @contextmanager
    def step(self, text: str, *, figure: str | None = None) -> Iterator[None]:
        """Times a block and prints one line for it; keeps the seconds under `figure`."""
        started = time.monotonic()
        with self.console.status(escape(text)):
            try:
                yield
            except BaseException:
                self.console.print(f"  [red]✗[/red] {escape(text)}")
                raise
        seconds = time.monotonic() - started
        if figure:
            self.figures[figure] = round(seconds, 3)
        self.console.print(f"  [green]✓[/green] {escape(text)} [dim]({seconds:.1f} s)[/dim]")

    def check(self, holds: bool, text: str, detail: str = "") -> None:
        """One observed fact the promise rests on. Raises `DemoFailedError` when it does not hold."""
        mark = "[green]✓[/green]" if holds else "[red]✗[/red]"
        self.console.print(f"  {mark} {escape(text)}")
        if detail:
            self.console.print(f"    [dim]{escape(detail)}[/dim]")
        if not holds:
            raise DemoFailedError(f"{text} {detail}".strip())

    def say(self, text: str) -> None:
        """A line of plain text."""
        self.console.print(f"  {escape(text)}", soft_wrap=True)

    def command(self, command: str, output: str = "") -> None:
        """A command as a person would type it, and what it printed, unwrapped so that tables stay tables."""
        self.console.print(f"  [bold]$ {escape(command)}[/bold]", soft_wrap=True)
        for line in output.rstrip().splitlines():
            self.console.print(f"    {escape(line)}", soft_wrap=True, highlight=False)

    def manifest(self, text: str) -> None:
        """A manifest, as it is applied."""
        self.console.print(Syntax(text.strip(), "yaml", theme="ansi_dark", background_color="default"), width=110)

    def panel(self, text: str, title: str) -> None:
        """A framed summary."""
        self.console.print(Panel(escape(text), title=escape(title), border_style="green", expand=False))

    def write_figures(self, path: Path) -> None:
        """Keeps the measured seconds as a flat JSON object, figure -> number."""
        self.figures["demo_s"] = round(time.monotonic() - self.started, 3)
        path.write_text(json.dumps(self.figures, indent=2, sort_keys=True) + "\n")
