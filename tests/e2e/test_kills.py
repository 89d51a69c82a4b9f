"""Kill -9 of a part all along an erasure: it completes, exactly once, and no survivor is lost.

The steps are seen through the apiserver, so a kill lands at the step or shortly after it, and steps that pass between
two looks share one. Cuts at exact points, before and after every write, are in tests/integration/operator and
tests/privacy.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from imagint_dev.demo.cluster import wait_until
from imagint_dev.demo.narrator import DemoFailedError
from imagint_dev.errors import NotRunningError

pytestmark = [pytest.mark.e2e, pytest.mark.stack, pytest.mark.timeout(900)]

STEPS = (
    "HoldCheck", "Fence", "ProbeBefore", "Rotate", "Commit", "Copy",
    "DropCaches", "Trim", "Purge", "ProbeAfter", "Processors", "Certificate",
)  # fmt: skip


def gateway_workers(stack_id: str) -> list[int]:
    """The Ray worker processes that hold a Gateway of this stack (Ray names a process after its actor)."""
    found = []
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            title, environment = (folder / "cmdline").read_bytes(), (folder / "environ").read_bytes()
        except OSError:
            continue
        if b"Gateway" in title and f"IMAGINT_STACK={stack_id}".encode() in environment:
            found.append(int(folder.name))
    return found


def kill(world: Any, part: str) -> bool:
    """Kill -9 of the part; False when it is down already."""
    if part != "ray-worker":
        with contextlib.suppress(NotRunningError):
            world.stack.kill(part)
            return True
        return False
    pids = gateway_workers(json.loads((world.state / "stack.json").read_text())["id"])
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return bool(pids)


def reached(world: Any, request: str) -> set[str]:
    """The steps that have begun, or nothing while the apiserver is away."""
    try:
        steps = world.status(request).get("steps", [])
    except DemoFailedError:
        return set()
    return {step["name"] for step in steps if step["state"] != "Pending"}


def complete(world: Any, request: str) -> bool:
    try:
        conditions = world.status(request).get("conditions", [])
    except DemoFailedError:
        return False
    return any(c["type"] == "Complete" and c["status"] == "True" for c in conditions)


def erase_with_kills(world: Any, request: str, part: str, first: int) -> int:
    """Kills the part at every third step from `first` on, as soon as the step is seen; how many kills it took."""
    targets = list(STEPS[first::3])
    deadline = time.monotonic() + 120
    kills = 0
    while not complete(world, request):
        assert time.monotonic() < deadline, f"{request} did not complete: {world.status(request).get('conditions')}"
        seen = reached(world, request)
        due = [name for name in targets if name in seen]
        if due:
            kills += kill(world, part)
            targets = [name for name in targets if name not in due]
    return kills


@pytest.mark.parametrize("first", [pytest.param(n, id=f"from step {STEPS[n]}") for n in range(3)])
@pytest.mark.parametrize("part", ["operator", "ray-worker", "vault", "apiserver"])
def test_an_erasure_survives_kill_9_and_no_survivor_is_lost(world: Any, tmp_path: Path, part: str, first: int) -> None:
    world.stack.wait_ready()
    wait_until("the Gateway", lambda: world.get("acme", "/v1/models").status_code == 200, limit_s=90)
    erased, survivor = world.someone("acme", 2), world.someone("acme", 2)
    request = world.ask_erasure(erased[0].subject)
    assert erase_with_kills(world, request, part, first) > 0

    world.stack.wait_ready()
    wait_until("the Gateway", lambda: world.get("acme", "/v1/models").status_code == 200, limit_s=90)
    assert all(world.opens(made) for made in survivor)
    assert not any(world.opens(made) for made in erased)
    status = world.status(request)
    assert [step["state"] for step in status["steps"]] == ["Done"] * len(STEPS)
    assert status["keyVersions"]["to"] == status["keyVersions"]["from"] + 1, "one rotation, whatever was killed"
    assert world.verifies(request, tmp_path)[0] == 0
