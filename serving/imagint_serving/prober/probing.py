"""The two looks at an erasure: observe (Vault, Gateway), decide (`checks`), keep (`storage`), answer.

Asking twice gives the same answer: a result that passed is replayed from the disk, for the same question only. One
that did not pass is looked at afresh, because the operator asks again after it has repaired something.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from imagint_privacy.keys.ports import KeyProber
from imagint_serving.prober import checks
from imagint_serving.prober.errors import (
    BeforeMissingError,
    GatewayUnavailableError,
    InvalidProbeError,
    ProbeConflictError,
)
from imagint_serving.prober.messages import (
    AfterQuestion,
    AfterRecord,
    BeforeRecord,
    Canaries,
    Check,
    ProbeRecord,
    Question,
    Result,
    Root,
)
from imagint_serving.prober.ports import Gateway, Opening
from imagint_serving.prober.storage import ProbeStorage

LOOK_SECONDS: Final = 60.0
STRIPES: Final = 64
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Everything that is not a decision: time and randomness."""

    now: Callable[[], datetime]
    monotonic: Callable[[], float]
    nonce: Callable[[], str]


class Prober:
    """Answers the operator's two questions about a request."""

    def __init__(self, vault: KeyProber, gateway: Gateway, storage: ProbeStorage, around: Surroundings) -> None:
        self._vault = vault
        self._gateway = gateway
        self._storage = storage
        self._around = around
        # One look at a time per request; the stripes bound the memory that strangers' ids could take.
        self._locks = tuple(threading.Lock() for _ in range(STRIPES))

    def before(self, request: str, question: Question) -> Result:
        """Look before the rotation, and keep the old root and the canaries.

        Raises:
            ProbeConflictError: the request was asked about something else.
            RetryableError: Vault, the Gateway or the disk does not answer; nothing was concluded.
        """
        _own_namespace(question)
        with self._lock(request):
            kept = self._storage.load(request)
            if kept is not None:
                _same(kept.before.question, question)
                if kept.before.result.passed:
                    return kept.before.result
            record = self._look_before(request, question)
            self._storage.save(request, ProbeRecord(before=record))
        _report(request, question.tenant, "before", record.result)
        return record.result

    def after(self, request: str, question: AfterQuestion) -> Result:
        """Look after the deletion, with what was kept from before.

        Raises:
            BeforeMissingError: nothing passed before, so that nothing can be shown now.
            ProbeConflictError: the request was asked about something else.
            RetryableError: Vault, the Gateway or the disk does not answer; nothing was concluded.
        """
        _own_namespace(question)
        with self._lock(request):
            kept = self._storage.load(request)
            if kept is None or not kept.before.result.passed:
                raise BeforeMissingError(f"there is no passed look before {request}")
            _same(kept.before.question, question)
            if kept.after is not None:
                _same(kept.after.question, question)
                if kept.after.result.passed:
                    return kept.after.result
            result = self._look_after(question, kept.before)
            self._storage.save(
                request, ProbeRecord(before=kept.before, after=AfterRecord(question=question, result=result))
            )
        _report(request, question.tenant, "after", result)
        return result

    def _look_before(self, request: str, question: Question) -> BeforeRecord:
        ends = self._around.monotonic() + LOOK_SECONDS
        nonce = self._around.nonce()
        root = self._gateway.root(question.tenant)
        canaries = self._gateway.seal_canaries(question.tenant, request, question.subject, nonce)
        seen = self._look(question, root, canaries, nonce, ends)
        return BeforeRecord(
            question=question,
            root=root,
            nonce=nonce,
            canaries=canaries,
            holdings=seen.holdings,
            result=self._result(checks.before(question.namespace, seen)),
        )

    def _look_after(self, question: AfterQuestion, kept: BeforeRecord) -> Result:
        ends = self._around.monotonic() + LOOK_SECONDS
        root = self._gateway.root(question.tenant)
        seen = self._look(question, root, kept.canaries, kept.nonce, ends)
        refusal = self._vault.refused(question.namespace, kept.root.ciphertext)
        earlier = checks.Earlier(kept.root, refusal, kept.canaries, kept.holdings)
        return self._result(checks.after(question.namespace, question.key_version, earlier, seen))

    def _look(self, question: Question, root: Root, canaries: Canaries, nonce: str, ends: float) -> checks.Seen:
        return checks.Seen(
            key=self._vault.state(question.namespace),
            root=root,
            root_refusal=self._vault.refused(question.namespace, root.ciphertext),
            erased=self._open(question.tenant, [canary.sealed for canary in canaries.erased], nonce, ends),
            survivors=self._open(question.tenant, [canary.sealed for canary in canaries.survivors], nonce, ends),
            holdings=self._gateway.holdings(question.tenant, question.subject),
        )

    def _open(self, tenant: str, sealed: Sequence[str], nonce: str, ends: float) -> tuple[Opening, ...]:
        openings = []
        for canary in sealed:
            if self._around.monotonic() > ends:
                raise GatewayUnavailableError(f"the Gateway of {tenant} opens canaries too slowly")
            openings.append(self._gateway.open_canary(tenant, canary, nonce))
        return tuple(openings)

    def _result(self, made: tuple[Check, ...]) -> Result:
        moment = self._around.now().astimezone(UTC).isoformat().replace("+00:00", "Z")
        return Result(passed=all(check.passed for check in made), observed_at=moment, checks=made)

    def _lock(self, request: str) -> threading.Lock:
        return self._locks[hash(request) % STRIPES]


def _own_namespace(question: Question) -> None:
    if question.namespace != f"tenant-{question.tenant}":
        raise InvalidProbeError("the namespace is not the tenant's")


def _same(known: Question, asked: Question) -> None:
    fields = type(known).model_fields
    if any(getattr(known, name) != getattr(asked, name) for name in fields):
        raise ProbeConflictError("this request was asked about another tenant, subject or key version")


def _report(request: str, tenant: str, moment: str, result: Result) -> None:
    failed = ", ".join(check.name for check in result.checks if not check.passed)
    log.info("probe %s of %s (tenant %s): %s", moment, request, tenant, f"NOT passed: {failed}" if failed else "passed")
