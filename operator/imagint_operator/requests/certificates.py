"""Pure: from a request's recorded status to the certificate's statement. What is not recorded is not claimed.

Everything here comes from status, so that a certificate made after a crash is byte for byte the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar

from imagint_operator import names
from imagint_operator.api.requests import (
    CheckState,
    DataSubjectRequest,
    DataSubjectRequestStatus,
    ProcessorState,
    StepName,
    StepResult,
)
from imagint_operator.errors import EvidenceRefusedError
from imagint_operator.requests.findings import NO_LEGAL_HOLD, NO_PLAINTEXT_BACKUP, NOT_EXPORTABLE, UPSERT_DISABLED
from imagint_operator.requests.observations import received_at
from imagint_operator.requests.progress import nothing_held
from imagint_operator.requests.steps import step
from imagint_privacy import evidence as ev
from imagint_privacy.clocks import Regulation

FILE = "certificate.json"
T = TypeVar("T")
NOT_CONFIRMED = {
    ProcessorState.REFUSED: "What these recipients keep: {}. They were told to erase and refused.",
    ProcessorState.OVERDUE: "What these recipients keep: {}. They did not confirm an erasure in the time they had.",
    ProcessorState.BY_HAND: "What these recipients keep: {}. They are told by a person; this certificate does not "
    "show that they were, nor that they erased.",
    ProcessorState.EXEMPT: "What these recipients keep: {}. They were not told, for a reason that the operator of "
    "the service recorded and must give you when you ask.",
}


@dataclass(frozen=True, slots=True)
class Issuer:
    """What every certificate says about who issued it."""

    version: str
    image_digest: str | None
    policy_version: str
    snapshot_retention: timedelta


def config_map_names(request: DataSubjectRequest) -> tuple[str, str]:
    """Where the certificate of a request lies, and where if an earlier request of the same name left its own there."""
    return f"dsr-{request.name}-certificate", f"dsr-{request.name}-{request.metadata.uid}-certificate"


def config_map(request: DataSubjectRequest, name: str, certificate: bytes) -> dict[str, Any]:
    """The immutable ConfigMap that holds a certificate. It outlives its request: evidence is not cleaned up with it."""
    namespace = request.metadata.namespace or ""
    metadata = {
        "name": name,
        "namespace": namespace,
        "labels": names.labels(names.tenant_of(namespace)),
        "annotations": {"imagint.ai/request-uid": request.metadata.uid},
    }
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": metadata,
        "immutable": True,
        "data": {FILE: certificate.decode()},
    }


def belongs(found: Mapping[str, Any], request: DataSubjectRequest) -> bool:
    """Whether a ConfigMap of that name is this request's, and ours: the label is one that nobody else may set."""
    annotations, labels = found["metadata"].get("annotations") or {}, found["metadata"].get("labels") or {}
    named = annotations.get("imagint.ai/request-uid") == request.metadata.uid
    ours = names.is_managed(labels, names.tenant_of(request.metadata.namespace or ""))
    return named and ours and bool(found.get("immutable"))


def statement(request: DataSubjectRequest, status: DataSubjectRequestStatus, issuer: Issuer) -> bytes:
    """The statement to sign.

    Raises:
        EvidenceRefusedError: the record does not support the claim.
    """
    if status.evidence is None:
        raise EvidenceRefusedError("no salt is recorded")
    commitment = ev.commitment(request.spec.subject, status.evidence.salt)
    try:
        predicate = _predicate(request, status, issuer)
        return ev.erasure_statement(predicate, subject=commitment)
    except ev.IncompleteEvidenceError as error:
        raise EvidenceRefusedError("; ".join(error.problems)) from error
    except (ValueError, LookupError) as error:
        raise EvidenceRefusedError(f"the record cannot be stated ({type(error).__name__})") from None


def _predicate(request: DataSubjectRequest, status: DataSubjectRequestStatus, issuer: Issuer) -> ev.ErasurePredicate:
    namespace = request.metadata.namespace or ""
    common: dict[str, Any] = {
        "request": ev.Request(
            uid=request.metadata.uid,
            tenant=names.tenant_of(namespace),
            regulation=Regulation(request.spec.regulation.value),
            scope=tuple(category.value for category in request.spec.scope.categories),
            verification=_verification(request),
        ),
        "clocks": ev.Clocks(
            received_at=received_at(request),
            acknowledge_by=_needed(status.acknowledge_by),
            due_by=_needed(status.due_by),
            done_at=_needed(status.completed_at),
        ),
        "hold_check": _hold_check(status),
        "held": _held(_result(status, StepName.FENCE)),
        "policy_version": _needed(status.evidence).policy_version or issuer.policy_version,
        "processors": _receipts(status),
        "operator": ev.Software(version=issuer.version, image_digest=issuer.image_digest),
        "actors": ev.Actors(
            operator=names.service_account(names.CONTROLLER),
            data_plane=names.service_account(names.DATAPLANE, namespace),
            prober=names.service_account(names.PROBER),
            shredder=None if nothing_held(status) else names.service_account(names.SHREDDER),
        ),
    }
    if nothing_held(status):
        excluded = ev.exclusions_nothing_held() + _not_confirmed(status)
        return ev.ErasurePredicate(outcome="NothingHeld", not_covered=excluded, **common)
    return ev.ErasurePredicate(outcome="Erased", **_erased(namespace, status, issuer), **common)


def _hold_check(status: DataSubjectRequestStatus) -> ev.HoldCheck:
    """As last made before the commit; never more than was counted, and never none where nobody counted."""
    check = _result(status, StepName.HOLD_CHECK)
    at = check.observed_at or _finished(status, StepName.HOLD_CHECK)
    passed = any(found.name == NO_LEGAL_HOLD and found.state is CheckState.PASSED for found in check.checks)
    counted = 0 if check.active_holds is None and passed else check.active_holds
    return ev.HoldCheck(checked_at=at, active_holds=_needed(counted))


def _receipts(status: DataSubjectRequestStatus) -> tuple[ev.ProcessorReceipt, ...]:
    """Who was told, and whether it answered that it erased: everything short of that is Unanswered."""
    return tuple(
        ev.ProcessorReceipt(
            name=entry.name,
            result="Acknowledged" if entry.state is ProcessorState.COMPLETED else "Unanswered",
            at=entry.completed_at or entry.told_at or _needed(status.completed_at),
        )
        for entry in status.processors
        if entry.state is not ProcessorState.EXEMPT
    )


def _not_confirmed(status: DataSubjectRequestStatus) -> tuple[ev.NotCovered, ...]:
    """What processors keep that did not confirm, said plainly, a sentence for each way of not confirming."""
    found = []
    for state, text in NOT_CONFIRMED.items():
        names_ = [entry.name for entry in status.processors if entry.state is state]
        if names_:
            shown = ", ".join(names_[:4]) + (f" and {len(names_) - 4} more" if len(names_) > 4 else "")
            found.append(ev.NotCovered(code="HandedOut", text=text.format(shown)))
    return tuple(found)


def _verification(request: DataSubjectRequest) -> ev.Verification | None:
    how = request.spec.verification
    return ev.Verification(method=how.method.value, at=how.at) if how else None


def _erased(namespace: str, status: DataSubjectRequestStatus, issuer: Issuer) -> dict[str, Any]:
    trimmed_at = _finished(status, StepName.TRIM)
    final = _needed(status.irrecoverable_after)
    commit, caches = _result(status, StepName.COMMIT), _result(status, StepName.DROP_CACHES)
    bound = _needed(caches.bound_seconds)
    incarnation = _result(status, StepName.FENCE).incarnation
    return {
        "key": _key(namespace, status, trimmed_at),
        "tree": ev.TreeChange(
            generation=_needed(commit.generation), forgotten_paths=_needed(commit.paths), incarnation=incarnation
        ),
        "copies": tuple(
            ev.Copy(store=copy.store, generation=copy.generation, root_digest=copy.root_digest, read_back=True)
            for copy in _result(status, StepName.COPY).stores
        ),
        "caches": ev.Caches(bound_seconds=bound, replicas=caches.replicas),
        "stores": tuple(
            ev.Store(store=store.store, deleted=store.deleted, remaining=store.remaining)
            for store in _result(status, StepName.PURGE).stores
        ),
        "probes": ev.Probes(
            before=_probe(_result(status, StepName.PROBE_BEFORE)), after=_probe(_result(status, StepName.PROBE_AFTER))
        ),
        "irrecoverable_after": final,
        "not_covered": ev.exclusions(irrecoverable_after=final, trimmed_at=trimmed_at, cache_bound_seconds=bound)
        + _not_confirmed(status),
    }


def _key(namespace: str, status: DataSubjectRequestStatus, trimmed_at: datetime) -> ev.KeyChange:
    versions = _needed(status.key_versions)
    trim = _result(status, StepName.TRIM)
    passed = {check.name for check in trim.checks if check.state is CheckState.PASSED}
    return ev.KeyChange(
        name=namespace,
        from_version=versions.from_,
        to_version=versions.to,
        created_at=_needed(_result(status, StepName.ROTATE).key_created_at),
        trimmed_at=trimmed_at,
        min_decryption_version=_needed(trim.min_decryption_version),
        min_available_version=_needed(trim.min_available_version),
        exportable=NOT_EXPORTABLE not in passed,
        allow_plaintext_backup=NO_PLAINTEXT_BACKUP not in passed,
        upsert_disabled=UPSERT_DISABLED in passed,
    )


def _held(fence: StepResult) -> ev.Held:
    records = {holding.category: holding.records for holding in fence.holdings}
    return ev.Held(paths=fence.paths or 0, records=records, objects=fence.objects or 0)


def _probe(result: StepResult) -> ev.ProbeResult:
    checks = tuple(
        ev.Check(name=check.name, passed=check.state is CheckState.PASSED, detail=check.detail or "no detail")
        for check in result.checks
    )
    return ev.ProbeResult(observed_at=_needed(result.observed_at), checks=checks)


def _result(status: DataSubjectRequestStatus, name: StepName) -> StepResult:
    return _needed(step(status, name).result)


def _finished(status: DataSubjectRequestStatus, name: StepName) -> datetime:
    return _needed(step(status, name).finished_at)


def _needed(value: T | None) -> T:
    if value is None:
        raise LookupError
    return value
