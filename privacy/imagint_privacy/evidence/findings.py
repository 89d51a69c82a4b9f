"""A verified certificate in plain words: what is proven, what is only claimed, what is not covered.

"Proven" is what anybody can check with this file and the public key. What happened inside Vault, the database or the
prober was seen by the operator's own machines: their signed word, and said so. Never move a claim up.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from imagint_privacy import clocks
from imagint_privacy.evidence.fields import format_time
from imagint_privacy.evidence.predicate import ErasurePredicate, KeyChange, Probes
from imagint_privacy.evidence.shred import ShredPredicate
from imagint_privacy.evidence.shred_findings import shred_claims, shred_consistency, shred_limits
from imagint_privacy.evidence.statements import Statement


class Kind(StrEnum):
    """How far a finding may be relied upon."""

    PROVEN = "proven"
    CLAIMED = "claimed"
    NOT_COVERED = "not covered"


@dataclass(frozen=True, slots=True)
class Finding:
    """One sentence about the certificate."""

    kind: Kind
    text: str


@dataclass(frozen=True, slots=True)
class VerificationReport:
    """What a certificate shows, once its signature and its rules were checked."""

    trusted: bool
    key_id: str
    digest: str
    statement: Statement
    findings: tuple[Finding, ...]

    @property
    def predicate(self) -> ErasurePredicate | ShredPredicate:
        """What was stated."""
        return self.statement.predicate

    def of(self, kind: Kind) -> tuple[str, ...]:
        """The sentences of one kind."""
        return tuple(finding.text for finding in self.findings if finding.kind is kind)

    def as_json(self) -> dict[str, Any]:
        """The report for programs."""
        return {
            "verified": self.trusted,
            "keyId": self.key_id,
            "digest": self.digest,
            "subjectCommitment": self.statement.commitment,
            "predicateType": self.statement.predicate_type,
            "outcome": self.predicate.outcome,
            "findings": {kind.value: list(self.of(kind)) for kind in Kind},
            "predicate": self.predicate.model_dump(mode="json", exclude_none=True),
        }


def describe(
    statement: Statement, *, key_id: str, trusted: bool, subject_known: bool, now: datetime
) -> tuple[Finding, ...]:
    """Everything there is to say about the statement."""
    signed, predicate = _signature(key_id, trusted), statement.predicate
    if isinstance(predicate, ShredPredicate):
        fitting = tuple(shred_consistency(predicate))
        claims, limits = shred_claims(predicate), shred_limits(predicate, now)
    else:
        fitting = (*_consistency(predicate), *_subject(subject_known))
        claims, limits = _claims(predicate), _limits(predicate, now)
    proven = (signed, *fitting) if trusted else fitting
    claimed = (*(() if trusted else (signed,)), *claims)
    return tuple(
        Finding(kind, text)
        for kind, texts in ((Kind.PROVEN, proven), (Kind.CLAIMED, claimed), (Kind.NOT_COVERED, limits))
        for text in texts
    )


def _signature(key_id: str, trusted: bool) -> str:
    whose = "which you trust" if trusted else "which the file itself brought along: anybody could have made it"
    return f"The statement was signed with key {key_id[:16]}…, {whose}, and has not changed since."


def _consistency(predicate: ErasurePredicate) -> Iterator[str]:
    if predicate.key is not None:
        yield (
            f"Its statements fit together: the key's version rose from {predicate.key.from_version} to "
            f"{predicate.key.to_version}, every probe passed, no store reports a remainder, and the times are in order."
        )
    else:
        yield "Its statements fit together: nothing was held, so nothing is said to have been erased."
    stated = predicate.clocks
    law = clocks.deadlines(predicate.request.regulation, stated.received_at)
    article = law.articles.extension if stated.extended else law.articles.due
    kept = stated.done_at <= stated.due_by
    margin = _span(abs(stated.due_by - stated.done_at))
    yield (
        f"By its own dates the deadline was {'kept, with ' + margin + ' to spare' if kept else 'MISSED by ' + margin}: "
        f"received {format_time(stated.received_at)}, due {format_time(stated.due_by)}, done "
        f"{format_time(stated.done_at)} ({article})."
    )


def _subject(known: bool) -> Iterator[str]:
    if known:
        yield "It is about the subject that you named: handle and salt fit its commitment."


def _claims(predicate: ErasurePredicate) -> Iterator[str]:
    request = predicate.request
    scope = "everything" if not request.scope else ", ".join(request.scope)
    yield f"Request {request.uid} to tenant {request.tenant}, under {request.regulation}, to erase {scope}."
    yield (
        f"No legal hold stood against it on {format_time(predicate.hold_check.checked_at)}; "
        f"policy {predicate.policy_version}."
    )
    if predicate.key is None or predicate.probes is None:
        yield "The data plane found nothing held about the subject. No probe stands behind this finding."
    else:
        yield from _erasure_claims(predicate, predicate.key, predicate.probes)
    for receipt in predicate.processors:
        answer = "confirmed its own erasure" if receipt.result == "Acknowledged" else "was told and has NOT answered"
        yield f"Processor {receipt.name} {answer} ({format_time(receipt.at)})."
    software = predicate.operator
    yield f"Issued by operator {software.version}, image {software.image_digest or 'none (run from sources)'}."


def _erasure_claims(predicate: ErasurePredicate, key: KeyChange, probes: Probes) -> Iterator[str]:
    yield (
        f"Vault destroyed version {key.from_version} of key {key.name} (made {format_time(key.created_at)}) on "
        f"{format_time(key.trimmed_at)}. The key could never be exported or backed up in the clear."
    )
    for copy in predicate.copies:
        yield f"The key tree without the subject was written to {copy.store} and read back first."
    for store in predicate.stores:
        yield f"{store.deleted} encrypted items were deleted from {store.store}; none remain."
    yield f"An independent prober ({predicate.actors.prober}) looked before and after:"
    for when, result in (("before", probes.before), ("after", probes.after)):
        for check in result.checks:
            yield f"  {when}: {check.name}: {check.detail}"


def _limits(predicate: ErasurePredicate, now: datetime) -> Iterator[str]:
    horizon = predicate.irrecoverable_after
    if horizon is not None:
        if horizon > now:
            yield (
                f"Until {format_time(horizon)} ({_span(horizon - now)} from now) a snapshot of Vault could still bring "
                "the destroyed key back. Nothing is claimed to be irrecoverable before then."
            )
        else:
            yield f"Since {format_time(horizon)} no snapshot of Vault is said to exist that could bring the key back."
    for exclusion in predicate.not_covered:
        until = f" (until {format_time(exclusion.until)})" if exclusion.until else ""
        yield f"{exclusion.text}{until}"


def _span(duration: timedelta) -> str:
    seconds = int(duration.total_seconds())
    for name, length in (("day", 86400), ("hour", 3600), ("minute", 60)):
        count = seconds // length
        if count:
            return f"{count} {name}{'s' if count > 1 else ''}"
    return f"{seconds} second{'' if seconds == 1 else 's'}"
