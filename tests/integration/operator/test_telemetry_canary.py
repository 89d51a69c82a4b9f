"""Canaries through a full life, with failures: none ends in a log, a metric, a trace, an Event or a condition.

The operator is a process of its own, as it is started in service, but for its log: everything is logged at DEBUG.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from imagint_operator.fakeservers import Reply
from imagint_operator.telemetry.fakes import FakeCollector

pytestmark = pytest.mark.stack
HANDLE = "subj-" + "canarycanarycanarycanary2a"
PERSON, PROMPT, DISPLAY = "canary.person@example.com", "a canary on a red circle", "Canary Display & Sons"
CANARIES = (HANDLE, PERSON, PROMPT, DISPLAY, "CanaryCode", "canary-reason")
KINDS = ("tenants", "datasubjectrequests", "modeldeployments")
AT_DEBUG = """
import logging, sys
begin = logging.basicConfig
def at_debug(**given):
    begin(**{**given, "level": logging.DEBUG})
    logging.getLogger("imagint_operator").debug("everything that is not silenced is logged")
logging.basicConfig = at_debug
from imagint_operator.__main__ import main
sys.exit(main())
"""
REFUSAL = {
    "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy",
    "metadata": {"name": "canary-refusal"},
    "spec": {
        "failurePolicy": "Fail",
        "matchConstraints": {"resourceRules": [{
            "apiGroups": ["imagint.ai"], "apiVersions": ["v1alpha1"], "operations": ["UPDATE"],
            "resources": ["datasubjectrequests/status"],
        }]},
        "validations": [{"expression": "false", "messageExpression": f"object.spec.subject + ' {PROMPT}'"}],
    },
}  # fmt: skip
BINDING = {
    "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicyBinding",
    "metadata": {"name": "canary-refusal"},
    "spec": {"policyName": "canary-refusal", "validationActions": ["Deny"], "matchResources": {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "tenant-canary"}}}},
}  # fmt: skip


class Life:
    """An operator's process, everything it talks to, and everything it says."""

    def __init__(self, bench: Any, cluster: Any, collector: FakeCollector, folder: Path) -> None:
        self.bench, self.cluster, self.collector = bench, cluster, collector
        self.log, self.scrapes = folder / "operator.log", ""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        settings = bench.settings.model_copy(update={"metrics_port": self.port})
        self.environment = {
            **os.environ,
            **{f"IMAGINT_{name.upper()}": str(value) for name, value in settings.model_dump(exclude_none=True).items()},
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
            "OTEL_BSP_SCHEDULE_DELAY": "100",
        }
        self._answer = bench.gateways.answer
        self.mend_gateways()

    @contextlib.contextmanager
    def operator(self) -> Iterator[None]:
        """The process, from its start to a clean end."""
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-c", AT_DEBUG], env=self.environment, stdout=log, stderr=subprocess.STDOUT
            )
        try:
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(15) == 0

    def scrape(self) -> bool:
        """Keep what the metrics say now."""
        with contextlib.suppress(httpx.HTTPError):
            self.scrapes += httpx.get(f"http://127.0.0.1:{self.port}/metrics", trust_env=False).text
        return bool(self.scrapes)

    def break_gateways(self, reply: Reply) -> None:
        """Have every step of an erasure answered so."""

        def broken(method: str, path: str, body: dict[str, Any]) -> Reply:
            return reply if "erasures" in path else self._answer(method, path, body)

        self.bench.gateways.answer = broken

    def mend_gateways(self) -> None:
        """Have them answer as they should, but for a reason that is a text."""

        def mended(method: str, path: str, body: dict[str, Any]) -> Reply:
            status, answer = self._answer(method, path, body)
            return status, {**answer, "reason": f"canary-reason {PERSON}"} if path.endswith("/status") else answer

        self.bench.gateways.answer = mended

    def reason(self, kind: str, name: str, type_: str, namespace: str | None = None) -> str:
        self.scrape()
        return str(self.cluster.condition(kind, name, type_, namespace)[1])

    def said_to_people(self) -> str:
        """Every Event, and every status of ours."""
        events = json.loads(self.cluster.run("get", "events.events.k8s.io", "-A", "-o", "json"))["items"]
        found = [json.loads(self.cluster.run("get", kind, "-A", "-o", "json"))["items"] for kind in KINDS]
        statuses = [item.get("status", {}) for items in found for item in items]
        assert {event["regarding"]["kind"] for event in events} >= {"Tenant", "DataSubjectRequest"}
        return json.dumps([events, statuses])


@pytest.fixture
def life(bench: Any, cluster: Any, tmp_path: Path) -> Iterator[Life]:
    with FakeCollector() as collector:
        yield Life(bench, cluster, collector, tmp_path)


async def test_no_canary_is_told_to_anybody(life: Life, stack: Any, eventually: Callable[..., Any]) -> None:
    cluster, namespace = life.cluster, "tenant-canary"

    async def turns(reason: str, kind: str = "dsr", name: str = "ada", type_: str = "Complete") -> None:
        where = None if kind == "tenant" else namespace
        await eventually(lambda: life.reason(kind, name, type_, where), reason, seconds=40)

    life.bench.gateways.tenant("canary").records[HANDLE] = 2
    with life.operator():
        await asyncio.to_thread(cluster.apply, made("Tenant", "canary", None, TENANT))
        await turns("Serving", "tenant", "canary", "GatewayReady")
        life.break_gateways((500, {"error": {"code": f"CanaryCode {PERSON}", "message": f"{HANDLE} {PROMPT}"}}))
        await asyncio.to_thread(cluster.apply, made("DataSubjectRequest", "ada", namespace, REQUEST))
        await turns("DataPlaneUnavailable")
        life.break_gateways((409, {"error": {"code": "out_of_order", "message": f"{HANDLE} {PERSON}"}}))
        await turns("DataPlaneRefused")
        await refusing(life, eventually)
        life.mend_gateways()
        await asyncio.to_thread(stack.seal)
        try:
            await turns("VaultUnavailable")
        finally:
            await asyncio.to_thread(stack.unseal)
        await turns("Erased")
        life.bench.gateways.ready = False
        await turns("NotReady", "tenant", "canary", "GatewayReady")
        told = await asyncio.to_thread(life.said_to_people)
    check(life, told)


async def refusing(life: Life, eventually: Callable[..., Any]) -> None:
    """For a while the apiserver refuses every status, and quotes what the object says."""
    for manifest in (REFUSAL, BINDING):
        await asyncio.to_thread(life.cluster.run, "apply", "-f", "-", stdin=json.dumps(manifest))
    life.break_gateways((503, {"error": {"code": "storage_unavailable", "message": HANDLE}}))
    try:
        await eventually(lambda: bool(re.search(r"ada: Refused", life.log.read_text())), seconds=40)
    finally:
        for kind in ("validatingadmissionpolicybinding", "validatingadmissionpolicy"):
            await asyncio.to_thread(life.cluster.run, "delete", kind, "canary-refusal")


def check(life: Life, told: str) -> None:
    log, traces = life.log.read_text(), life.collector.raw.decode(errors="replace")
    places = {"the log": log, "the metrics": life.scrapes, "the traces": traces, "Events and statuses": told}
    assert "DEBUG" in log, "the log was not at DEBUG"
    assert "imagint_operator_reconciles_total" in life.scrapes
    assert {"DataSubjectRequest Erase", "Trim"} <= {span.name for span in life.collector.spans}
    assert {span.attributes.get("error.type") for span in life.collector.spans} >= {"DataPlaneRefused", "422"}
    leaks = [
        f"{canary!r} in {place}: …{text[max(0, at - 200) : at + 60]}…"
        for place, text in places.items()
        for canary in CANARIES
        if (at := text.find(canary)) >= 0
    ]
    assert leaks == []


def made(kind: str, name: str, namespace: str | None, spec: dict[str, Any]) -> dict[str, Any]:
    metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
    return {"apiVersion": "imagint.ai/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec}


TENANT = {"residency": {"region": "eu"}, "displayName": DISPLAY}
REQUEST = {
    "type": "Erase", "subject": HANDLE, "regulation": "GDPR",
    "verification": {"method": "AccountSession", "at": "2026-11-23T12:00:00Z"},
}  # fmt: skip
