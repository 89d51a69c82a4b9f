"""A kind that is not there, or not allowed, when an operator starts: said, waited for, and worked on once it is."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from imagint_operator.settings import Settings, variable

pytestmark = pytest.mark.stack
CRD = Path(__file__).resolve().parents[3] / "crds" / "datasubjectrequests.yaml"
NAME = "datasubjectrequests.imagint.ai"
ROLE = "imagint-controller"


class Running:
    """An operator process, its log and its pages."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path, port: int) -> None:
        self.process = process
        self._log = log
        self._port = port

    @property
    def log(self) -> str:
        return self._log.read_text()

    def page(self, path: str) -> int:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._port}{path}", timeout=5) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            with error:
                return error.code
        except OSError:
            return 0


@pytest.fixture
def start(bench: Any, cluster: Any, tmp_path: Path) -> Iterator[Callable[[], Running]]:
    cluster.run("delete", "lease", "imagint-operator", "--namespace=imagint-system", "--ignore-not-found")
    with contextlib.ExitStack() as stack:

        def begin() -> Running:
            with socket.socket() as free:
                free.bind(("127.0.0.1", 0))
                port = free.getsockname()[1]
            given = bench.settings.model_copy(update={"metrics_port": port}).model_dump(exclude_none=True)
            environment = {variable(name): str(value) for name, value in given.items() if name in Settings.model_fields}
            path = tmp_path / "operator.log"
            log = stack.enter_context(path.open("wb"))
            command = [sys.executable, "-m", "imagint_operator"]
            process = subprocess.Popen(command, env={**os.environ, **environment}, stdout=log, stderr=log)
            stack.callback(process.wait, 10)
            stack.callback(process.kill)
            return Running(process, path, port)

        yield begin


def request(name: str) -> dict[str, Any]:
    return {
        "apiVersion": "imagint.ai/v1alpha1", "kind": "DataSubjectRequest",
        "metadata": {"name": name, "namespace": "tenant-watched"},
        "spec": {
            "type": "Complain", "subject": "subj-" + "a" * 26, "regulation": "GDPR",
            "receivedAt": "2026-11-01T00:00:00Z",
            "verification": {"method": "AccountSession", "at": "2026-11-01T00:00:00Z"},
        },
    }  # fmt: skip


def tenant() -> dict[str, Any]:
    spec = {"residency": {"region": "eu"}, "deletion": {"policy": "Shred"}}
    return {"apiVersion": "imagint.ai/v1alpha1", "kind": "Tenant", "metadata": {"name": "watched"}, "spec": spec}


def wait(look: Callable[[], bool], seconds: float = 40) -> None:
    deadline = time.monotonic() + seconds
    while not look():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.2)


def seen(cluster: Any, name: str) -> Callable[[], bool]:
    return lambda: bool(cluster.condition("dsr", name, "Complete", "tenant-watched")[1])


def test_a_crd_that_comes_later(cluster: Any, start: Callable[[], Running]) -> None:
    cluster.run("delete", "crd", NAME)
    try:
        operator = start()
        cluster.apply(tenant())
        wait(lambda: cluster.condition("tenant", "watched", "Ready")[0] == "True", 90)  # the other kinds are served
        wait(lambda: operator.page("/readyz") == 503)
        assert operator.log.count("datasubjectrequests cannot be watched (KindMissing); install the CRDs") == 1
    finally:
        cluster.run("apply", "--server-side", "-f", str(CRD))
        cluster.run("wait", "--for=condition=Established", "crd", NAME)
    cluster.apply(request("later"))
    wait(seen(cluster, "later"))
    wait(lambda: operator.page("/readyz") == 200)
    assert operator.process.poll() is None


def test_a_right_that_is_missing_at_the_start(cluster: Any, start: Callable[[], Running]) -> None:
    """Kopf's watch does not come back by itself (nolar/kopf#1077): what is there is still worked on, and it is told."""
    role = json.loads(cluster.run("get", "clusterrole", ROLE, "-o", "json"))
    rules = role["rules"]
    less = [
        {**rule, "resources": [kind for kind in rule["resources"] if kind != "datasubjectrequests"]} for rule in rules
    ]
    patch = [{"op": "replace", "path": "/rules", "value": [rule for rule in less if rule["resources"]]}]
    cluster.apply(tenant())
    try:
        cluster.run("patch", "clusterrole", ROLE, "--type=json", "-p", json.dumps(patch))
        time.sleep(1)  # the authorizer hears of it through a watch
        operator = start()
        wait(lambda: "datasubjectrequests cannot be watched (Forbidden)" in operator.log)
        wait(lambda: operator.page("/readyz") == 503)
        assert operator.page("/healthz") == 200
    finally:
        patch[0]["value"] = rules
        cluster.run("patch", "clusterrole", ROLE, "--type=json", "-p", json.dumps(patch))
    wait(lambda: cluster.condition("tenant", "watched", "Ready")[0] == "True", 90)
    cluster.apply(request("allowed"))
    wait(seen(cluster, "allowed"), 60)
    assert operator.log.count("datasubjectrequests cannot be watched (Forbidden)") == 1
