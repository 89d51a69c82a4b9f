"""What `imagint demo` does with folders that it cannot or must not use; the story itself is told in tests/e2e."""

from __future__ import annotations

from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from imagint_dev import cli
from imagint_dev.demo.command import demo


def test_a_folder_that_no_demo_made_is_never_removed(tmp_path: Path) -> None:
    precious = tmp_path / "documents" / "thesis.txt"
    precious.parent.mkdir()
    precious.write_text("years of work")
    arguments = ["--state", str(tmp_path / "state"), "--output", str(precious.parent)]
    done = CliRunner().invoke(demo, arguments)
    assert done.exit_code == 1
    assert "choose another --output" in done.output
    assert precious.read_text() == "years of work"


@pytest.mark.parametrize("command", [demo, cli.up], ids=["demo", "up"])
def test_a_state_folder_that_cannot_be_is_refused_in_words(
    command: click.Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    done = CliRunner().invoke(command, ["--state", str(tmp_path / "file" / "below")])
    assert done.exit_code == 1
    assert "cannot be a state folder" in done.output
