"""Several real processes on one tree: no update and no key is lost, and what is forgotten is gone in all of them."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from imagint_privacy.purposes import Purpose

RUNNER = Path(__file__).with_name("sharing.py")
WRITERS, READERS = 4, 2


class Crowd:
    """The processes on one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.processes: dict[str, subprocess.Popen[str]] = {}

    def start(self, role: str, number: int) -> None:
        command = [sys.executable, "-W", "error", str(RUNNER), str(self.folder), role, str(number)]
        self.processes[f"{role}-{number}"] = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )

    def wait(self, name: str) -> None:
        """Wait for one, while watching that no other fails."""
        deadline = time.monotonic() + 150
        while self.processes[name].poll() is None:
            assert time.monotonic() < deadline, f"{name} takes too long"
            for other in self.processes:
                self.check(other)
            time.sleep(0.05)
        self.check(name)

    def check(self, name: str) -> None:
        process = self.processes[name]
        if process.poll():
            assert process.stderr is not None
            pytest.fail(f"{name}: {process.stderr.read()[-3000:]}")

    def end(self) -> None:
        for process in self.processes.values():
            if process.poll() is None:
                process.kill()
            process.wait(30)
            if process.stderr is not None:
                process.stderr.close()


@pytest.fixture(params=["the fake of Vault and SQLite", "Vault and PostgreSQL"])
def crowd(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    database, vault = f"sqlite:///{tmp_path}/records.db", None
    if "PostgreSQL" in request.param:
        new_database: Callable[[], str] = request.getfixturevalue("new_database")
        real: Any = request.getfixturevalue("real_vault")
        database, vault = new_database(), (real.address, real.token)
    plan = {"database": database, "vault": vault, "turns": 6, "hot": 2, "erasures": 3, "readers": READERS}
    (tmp_path / "plan.json").write_text(json.dumps(plan))
    made = Crowd(tmp_path)
    yield made
    made.end()


def test_nothing_kept_is_lost_and_nothing_forgotten_is_kept(crowd: Crowd) -> None:
    for number in range(WRITERS):
        crowd.start("writer", number)
    for number in range(READERS):
        crowd.start("reader", number)
    crowd.start("eraser", 0)
    crowd.wait("eraser-0")
    place = _place(crowd.folder)
    _wait_for_writers(crowd, place)
    (crowd.folder / "end").touch()
    for name in crowd.processes:
        crowd.wait(name)
    _check(place)
    place.library.close()


def _place(folder: Path) -> Any:
    import importlib.util

    spec = importlib.util.spec_from_file_location("sharing", RUNNER)
    assert spec is not None
    assert spec.loader is not None
    sharing = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sharing)
    return sharing.Place(folder, "checker")


def _wait_for_writers(crowd: Crowd, place: Any) -> None:
    expected = {f"all-{n}-{place.plan['turns'] - 1}-obj" for n in range(WRITERS)}
    deadline = time.monotonic() + 120
    while not expected <= {line.split()[1] for line in place.noted("kept")}:
        assert time.monotonic() < deadline, "the writers take too long"
        for name in crowd.processes:
            crowd.check(name)
        time.sleep(0.05)


def _check(place: Any) -> None:
    library, erasures = place.library, len(place.noted("erased"))
    assert erasures == 2 * place.plan["erasures"]
    kept = [line.split() for line in place.noted("kept")]
    assert len(kept) >= 4 * WRITERS * place.plan["turns"]
    for person, record_id, over in kept:
        # What was begun when every erasure was over has no excuse; nor has what nobody erases.
        if person.startswith(("own", "everybody")) or (person.startswith("hot") and int(over) == erasures):
            opened = library.read(library.handle(person), record_id, Purpose.DELIVER)
            assert opened.content == f"content of {record_id}".encode()
    for turn in range(place.plan["erasures"]):
        held = library.erasures.holdings(library.handle(f"gone-{turn}"))
        assert (held.paths, dict(held.records), held.objects) == (0, {}, 0)
    assert len(library.tree.paths(library.handle("everybody"))) == 2
    assert len(set(place.noted("seen"))) == place.plan["erasures"], "a reader held each of the keys before"
