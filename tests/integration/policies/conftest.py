"""A real apiserver with the policies installed, and what the samples act upon."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from imagint_dev import kubeconfigs
from imagint_dev.stack import CONTROL_PLANE, Stack

HERE = Path(__file__).parent
EVERYTHING = "imagint:samples"
"""A group that may do everything by RBAC, so that only an admission policy can be what refuses."""


class Impersonator:
    """Sends one request as somebody, with every right that RBAC can give, and changes nothing (dryRun)."""

    def __init__(self, stack: Stack) -> None:
        endpoint = kubeconfigs.read(stack.kubeconfig)
        self._client = httpx.Client(base_url=endpoint.server, verify=endpoint.context(), timeout=30, trust_env=False)

    def close(self) -> None:
        self._client.close()

    def send(self, sample: dict[str, Any]) -> httpx.Response:
        method, path = sample["request"].split(" ", 1)
        groups = [*sample.get("groups", []), EVERYTHING, "system:authenticated"]
        headers = [("Impersonate-User", sample["user"]), *(("Impersonate-Group", group) for group in groups)]
        manager = sample.get("apply")  # a server-side apply, by the manager that is named
        patch = "application/apply-patch+yaml" if manager else "application/merge-patch+json"
        headers.append(("Content-Type", "application/json" if method != "PATCH" else patch))
        query = {} if method == "GET" else {"dryRun": "All"}
        query |= {"fieldManager": manager, "force": "true"} if manager else {}
        content = json.dumps(sample["body"]).encode() if "body" in sample else None
        return self._client.request(method, path, params=query or None, content=content, headers=headers)


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    made = Stack(tmp_path_factory.mktemp("state"))
    made.up(parts=CONTROL_PLANE)
    try:
        made.apply(HERE / "kinds.yaml")
        made.kubectl("wait", "--for=condition=established", "crd", "--all", "--timeout=30s")
        for document in yaml.safe_load_all((HERE / "world.yaml").read_text()):
            _apply_soon(made, document)
        _testify(made)
        yield made
    finally:
        made.down(purge=True)


def _apply_soon(stack: Stack, document: dict[str, Any], within: float = 20.0) -> None:
    """A kind that was just made is served a moment later, and an account may not be there yet."""
    deadline = time.monotonic() + within
    while True:
        try:
            with stack.api() as api:
                api.apply(document)
            return
        except Exception:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def _testify(stack: Stack) -> None:
    for name, step in (("begun", "Fence"), ("standing", "Apply")):
        _record(stack, name, {"status": {"steps": [{"name": step, "state": "Done"}]}})


def _record(stack: Stack, name: str, status: dict[str, Any]) -> None:
    controller = "--as=system:serviceaccount:imagint-system:imagint-controller", "--as-group=system:masters"
    request = ("dsr", name, "-n", "tenant-guarded", "--subresource=status", "--type=merge", "-p", json.dumps(status))
    command = stack.kubectl_command("patch", *request, *controller)
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="session")
def impersonator(stack: Stack) -> Iterator[Impersonator]:
    made = Impersonator(stack)
    yield made
    made.close()
