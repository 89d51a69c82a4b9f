"""kubectl, as a person would use it: the real program against the stack's own kubeconfig."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from imagint_dev.demo.narrator import DemoFailedError

WAIT_S = 180.0


@dataclass(frozen=True, slots=True)
class Cluster:
    """kubectl with the options that lead it to one cluster."""

    kubectl: Sequence[str]

    def run(self, *args: str, stdin: str | None = None) -> str:
        """Runs kubectl; its output, or `DemoFailedError` with what it said."""
        command = [*self.kubectl, *args]
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=60, check=False)
        if done.returncode:
            raise DemoFailedError(f"kubectl {' '.join(args)}: {done.stderr.strip()}")
        return done.stdout

    def apply(self, manifest: str) -> str:
        """`kubectl apply -f -`"""
        return self.run("apply", "-f", "-", stdin=manifest)

    def get(self, kind: str, name: str, namespace: str | None = None) -> dict[str, Any]:
        """One object as the apiserver has it."""
        where = ["-n", namespace] if namespace else []
        found: dict[str, Any] = json.loads(self.run("get", kind, name, *where, "-o", "json"))
        return found

    def wait_condition(self, kind: str, name: str, condition: str, namespace: str | None = None) -> None:
        """`kubectl wait`, which watches: it returns when the condition turns True."""
        where = ["-n", namespace] if namespace else []
        target = f"--for=condition={condition}"
        command = [*self.kubectl, "wait", target, f"{kind}/{name}", *where]
        limit = f"--timeout={WAIT_S:.0f}s"
        done = subprocess.run([*command, limit], capture_output=True, text=True, timeout=WAIT_S + 10, check=False)
        if done.returncode:
            status = self.get(kind, name, namespace).get("status", {})
            raise DemoFailedError(f"{kind}/{name} did not become {condition}: {json.dumps(status.get('conditions'))}")


def wait_until(what: str, holds: Callable[[], bool], *, limit_s: float = WAIT_S, every_s: float = 0.2) -> None:
    """Polls until `holds()`; `DemoFailedError` naming `what` when the time is up."""
    deadline = time.monotonic() + limit_s
    while not holds():
        if time.monotonic() > deadline:
            raise DemoFailedError(f"waited {limit_s:.0f} s for {what}")
        time.sleep(every_s)
