"""A whole erasure for tests: a tenant with two subjects, its Vault key, and a prober that can die and start anew.

Never used in service.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

import httpx

from imagint_privacy.keys.fakes import FakeTransit
from imagint_privacy.keys.ports import KeyAdmin, KeyProber, KeyState, Refusal, RootWrapper
from imagint_serving.prober.fakes import FakeGateway
from imagint_serving.prober.gateways import HttpGateway
from imagint_serving.prober.messages import AfterQuestion, Question
from imagint_serving.prober.probing import Prober, Surroundings
from imagint_serving.prober.storage import ProbeStorage

REQUEST, SUBJECT, SURVIVOR = "0b9cbd9c-3f0e-4c0e-9c3e-2f8f6f0f2a11", "subj-" + "a" * 26, "subj-" + "b" * 26
BEFORE = Question(tenant="acme", namespace="tenant-acme", subject=SUBJECT)
AFTER = AfterQuestion(tenant="acme", namespace="tenant-acme", subject=SUBJECT, key_version=2)
START = datetime(2026, 11, 2, 9, 30, tzinfo=UTC)


class Keys(Protocol):
    """A key service: the true fake, or a real Vault."""

    def admin(self) -> KeyAdmin:
        """The operator's view."""

    def tenant_key(self, name: str) -> RootWrapper:
        """The data plane's view of one key."""

    def prober(self) -> KeyProber:
        """The prober's view."""


class Scene:
    """A tenant with two subjects, its Vault key, and a prober that can be ended and started anew."""

    def __init__(self, folder: Path, keys: Keys | None = None) -> None:
        self.transit = FakeTransit()
        self.keys = keys or self.transit
        self.admin = self.keys.admin()
        self.admin.ensure("tenant-acme")
        self.gateway = FakeGateway("acme", self.keys.tenant_key("tenant-acme"))
        for subject, category in itertools.product((SUBJECT, SURVIVOR), ("prompts", "images")):
            self.gateway.hold(subject, category, 2)
        self.storage = ProbeStorage(folder / "probes")
        self.token = folder / "token"
        self.token.write_text("a token\n")
        self.seconds = 0.0
        self.prober = self.started()

    def started(self, storage: ProbeStorage | None = None, vault: KeyProber | None = None) -> Prober:
        """A new process of the prober, on the same folder."""
        numbers = itertools.count(1)
        around = Surroundings(
            now=lambda: START + timedelta(seconds=self.seconds),
            monotonic=lambda: self.seconds,
            nonce=lambda: f"{next(numbers):064x}",
        )
        http = HttpGateway("http://serve.test", self.token, self.gateway.transport())
        return Prober(vault or self.keys.prober(), http, storage or self.storage, around)

    def erase(self, categories: tuple[str, ...] = ()) -> None:
        """Erase the subject for good, as the operator and the data plane do."""
        version = self.admin.rotate("tenant-acme")
        self.gateway.forget(SUBJECT, version, categories)
        self.admin.raise_minimum("tenant-acme", version)
        self.admin.trim("tenant-acme", version)


def answering(path: str, answer: httpx.Response, gateway: FakeGateway) -> Callable[[httpx.Request], httpx.Response]:
    """Answer one call like this, and every other as the Gateway does."""

    def respond(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith(path):
            return httpx.Response(answer.status_code, content=answer.content)
        gateway.answer = None
        try:
            return gateway.respond(request)
        finally:
            gateway.answer = respond

    return respond


class Exportable:
    """A key whose flags were set, once and for all."""

    def __init__(self, transit: FakeTransit) -> None:
        self._real = transit.prober()

    def state(self, name: str) -> KeyState | None:
        """The key's state, with the flag set."""
        state = self._real.state(name)
        return replace(state, exportable=True) if state else None

    def refused(self, name: str, ciphertext: str) -> Refusal:
        """What the real one says."""
        return self._real.refused(name, ciphertext)
