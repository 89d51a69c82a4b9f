from __future__ import annotations

import io

from rich.console import Console

from imagint_dev.binaries.progress import Bars, Lines, progress_on


def test_without_a_terminal_a_line_comes_now_and_then() -> None:
    said: list[str] = []
    times = iter([0.0, 1.0, 16.0, 16.0, 17.0])
    lines = Lines(said.append, lambda: next(times))
    lines.add("etcd")
    lines.start("etcd", 3)
    lines.line("etcd", "a/b", True)
    lines.line("etcd", "a/c", True)
    lines.line("etcd", "go: downloading x", False)
    lines.done("etcd", 17.0)
    assert said == ["etcd: compiling up to 3 packages", "etcd: 2 of 3 packages", "etcd: built in 17 s"]


def test_on_a_terminal_each_program_has_a_bar() -> None:
    shown = io.StringIO()
    with progress_on(Console(file=shown, force_terminal=True, width=120)) as progress:
        assert isinstance(progress, Bars)
        progress.add("etcd")
        progress.line("etcd", "go: downloading x", False)
        progress.start("etcd", 2)
        progress.line("etcd", "a/b", True)
        progress.done("etcd", 3.0)
    assert "etcd" in shown.getvalue()
    assert "2/2" in shown.getvalue()
    assert "done in 3 s" in shown.getvalue()
