"""Proof by attack, first part: kill -9 of our process, and of Vault, at everything that either does. See `killing`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("kind", "points"),
    [
        pytest.param("erasure", 90, id="our process, at every write and every call of Vault of an erasure"),
        pytest.param("retention", 90, id="our process, at every write and every call of Vault of a run of retention"),
        pytest.param("upload", 22, id="our process, at every write of an upload of three chunks"),
        pytest.param("vault", 22, id="Vault, before and after it hears each call of an erasure"),
        pytest.param("sabotage", 6, id="nobody, but one step is left out: then the checks themselves must fail"),
    ],
)
def test_what_was_killed_is_finished_by_the_next_process(
    kind: str, points: int, vault_binary: Path, tmp_path: Path
) -> None:
    runner = [sys.executable, "-W", "error", "-m", "tests.contract.attack.killing", str(vault_binary)]
    done = subprocess.run(
        [*runner, str(tmp_path), kind], cwd=ROOT, capture_output=True, text=True, timeout=580, check=False
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[0]) >= points
