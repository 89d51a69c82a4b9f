"""Two operator processes on a real apiserver: one works; the other takes over, and the first never writes again."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from imagint_operator.settings import Settings, variable

pytestmark = pytest.mark.stack
LEASE = "/apis/coordination.k8s.io/v1/namespaces/imagint-system/leases/imagint-operator"
TAKEOVER_SECONDS = 20.0
LONG = {"IMAGINT_LEASE_SECONDS": "60", "IMAGINT_LEASE_RENEW_SECONDS": "40"}
Start = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def start(bench: Any, cluster: Any, tmp_path: Any) -> Iterator[Start]:
    """Start operator processes; none outlives the test. Nobody holds the Lease at the beginning."""
    cluster.run("delete", "lease", "imagint-operator", "--namespace=imagint-system", "--ignore-not-found")
    with contextlib.ExitStack() as stack:

        def begin(name: str, **more: str) -> subprocess.Popen[bytes]:
            given = bench.settings.model_dump(exclude={"metrics_port"}, exclude_none=True)
            environment = {
                variable(field): str(value) for field, value in given.items() if field in Settings.model_fields
            }
            log = stack.enter_context((tmp_path / f"{name}.log").open("wb"))
            process = subprocess.Popen(
                [sys.executable, "-m", "imagint_operator"],
                env={**os.environ, **environment, **more},
                stdout=log,
                stderr=log,
            )
            stack.callback(process.wait, 10)
            stack.callback(process.kill)
            stack.callback(process.send_signal, signal.SIGCONT)
            return process

        yield begin


def tenant(name: str) -> dict[str, Any]:
    spec = {"residency": {"region": "eu"}, "deletion": {"policy": "Shred"}}
    return {"apiVersion": "imagint.ai/v1alpha1", "kind": "Tenant", "metadata": {"name": name}, "spec": spec}


def holder(cluster: Any) -> str:
    with cluster.stack.api() as api, contextlib.suppress(Exception):
        return str(api.get(LEASE)["spec"].get("holderIdentity") or "")
    return ""


def wait(look: Callable[[], bool], seconds: float) -> float:
    """How long it took."""
    began = time.monotonic()
    while not look():
        assert time.monotonic() - began < seconds, "not in time"
        time.sleep(0.1)
    return time.monotonic() - began


def ready(cluster: Any, name: str) -> Callable[[], bool]:
    return lambda: bool(cluster.condition("tenant", name, "Ready")[0] == "True")


def test_a_killed_leader_is_followed_in_time(cluster: Any, start: Start) -> None:
    first = start("first")
    wait(lambda: bool(holder(cluster)), 30)
    leader = holder(cluster)
    start("second")
    cluster.apply(tenant("before"))
    wait(ready(cluster, "before"), 30)
    first.kill()
    cluster.apply(tenant("after"))
    wait(lambda: holder(cluster) not in {"", leader}, TAKEOVER_SECONDS)
    wait(ready(cluster, "after"), 15)


def test_a_leader_that_is_told_to_stop_lets_the_next_one_in(cluster: Any, start: Start) -> None:
    """Long before the Lease would have run out."""
    first = start("first", **LONG)
    wait(lambda: bool(holder(cluster)), 30)
    leader = holder(cluster)
    start("second", **LONG)
    time.sleep(4)  # the second one looks
    first.send_signal(signal.SIGTERM)
    assert first.wait(15) == 0
    wait(lambda: holder(cluster) not in {"", leader}, 35)


def test_a_leader_that_sleeps_past_its_lease_writes_nothing_when_it_wakes(cluster: Any, start: Start) -> None:
    first = start("first")
    wait(lambda: bool(holder(cluster)), 30)
    leader = holder(cluster)
    cluster.apply(tenant("sleepy"))
    wait(ready(cluster, "sleepy"), 30)
    second = start("second")
    time.sleep(5)  # it is warm
    first.send_signal(signal.SIGSTOP)
    wait(lambda: holder(cluster) not in {"", leader}, TAKEOVER_SECONDS)
    second.send_signal(signal.SIGSTOP)  # whoever writes now can only be the one that wakes
    cluster.run("delete", "networkpolicy", "imagint-default-deny", "--namespace=tenant-sleepy")
    cluster.apply(tenant("unseen"))
    first.send_signal(signal.SIGCONT)
    time.sleep(5)
    assert cluster.get("namespace", "tenant-unseen") is None
    assert cluster.get("networkpolicy", "imagint-default-deny", "tenant-sleepy") is None
    assert holder(cluster) != leader
    assert first.poll() is None  # it waits
    second.send_signal(signal.SIGCONT)
    wait(ready(cluster, "unseen"), 30)
    wait(lambda: cluster.get("networkpolicy", "imagint-default-deny", "tenant-sleepy") is not None, 10)
