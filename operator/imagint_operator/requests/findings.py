"""Pure: the answers of the data plane, the prober and Vault as step results. Ids, counts and digests only."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime

from imagint_operator.api.requests import (
    Check,
    CheckState,
    Holding,
    KeyVersions,
    ProcessorProgress,
    StepResult,
    StoreResult,
)
from imagint_operator.dataplane.answers import Caches, Commit, Copies, Fence, ProbeReport, Purge, Restriction
from imagint_operator.recipients.plan import finished
from imagint_operator.requests.progress import Finding
from imagint_privacy.keys.ports import KeyState

NOT_EXPORTABLE = "not-exportable"
NO_PLAINTEXT_BACKUP = "no-plaintext-backup"
UPSERT_DISABLED = "upsert-disabled"
NO_LEGAL_HOLD = "no-legal-hold"
LIMIT_CONFIRMED = "limit-confirmed"


def holds_checked(
    key: KeyState | None, *, upsert_disabled: bool, holds: tuple[str, ...] = (), at: datetime | None = None
) -> Finding:
    """Whether anything stands against the erasure, or would make its proof worthless."""
    checks = (
        _check(NO_LEGAL_HOLD, not holds, f"{len(holds)} active holds"),
        _check(NOT_EXPORTABLE, key is not None and not key.exportable),
        _check(NO_PLAINTEXT_BACKUP, key is not None and not key.allow_plaintext_backup),
        _check(UPSERT_DISABLED, upsert_disabled),
    )
    failed = any(check.state is CheckState.FAILED for check in checks)
    return Finding(failed=failed, result=StepResult(checks=checks, active_holds=len(holds), observed_at=at))


def fenced(answer: Fence) -> Finding:
    """What is held, and under which tree."""
    holdings = tuple(Holding(category=name, records=count) for name, count in sorted(answer.held.records.items()))
    result = StepResult(
        generation=answer.generation,
        key_version=answer.key_version,
        incarnation=answer.incarnation,
        paths=answer.held.paths,
        objects=answer.held.objects,
        holdings=holdings,
    )
    return Finding(nothing_held=answer.held.nothing, result=result)


def probed(report: ProbeReport) -> Finding:
    """What the prober saw."""
    checks = tuple(_check(check.name, check.passed, check.detail) for check in report.checks)
    return Finding(failed=not report.passed, result=StepResult(checks=checks, observed_at=report.observed_at))


def versions_recorded(key: KeyState) -> Finding:
    """From which version to which, and when the former was made."""
    made = key.created_at.get(key.latest_version)
    result = StepResult(key_version=key.latest_version, key_created_at=datetime.fromisoformat(made) if made else None)
    versions = KeyVersions(from_=key.latest_version, to=key.latest_version + 1)
    return Finding(finished=False, key_versions=versions, result=result)


def rotated(versions: KeyVersions, key: KeyState, recorded: StepResult | None) -> Finding:
    """The version that is there now is the one the survivors move to."""
    result = (recorded or StepResult()).model_copy(update={"key_version": key.latest_version})
    return Finding(key_versions=KeyVersions(from_=versions.from_, to=key.latest_version), result=result)


def committed(answer: Commit) -> Finding:
    """The tree without the subject's keys."""
    return Finding(
        result=StepResult(generation=answer.generation, key_version=answer.key_version, paths=answer.forgotten_paths)
    )


def copied(answer: Copies) -> Finding:
    """Every copy, read back."""
    stores = tuple(
        StoreResult(store=copy.store, generation=copy.generation, root_digest=copy.root_digest)
        for copy in answer.copies
    )
    whole = bool(stores) and all(copy.read_back for copy in answer.copies)
    return Finding(failed=not whole, result=StepResult(stores=stores))


def dropped(answer: Caches) -> Finding:
    """Every replica, and the bound."""
    replicas = tuple(replica.id for replica in answer.replicas)
    return Finding(result=StepResult(replicas=replicas, bound_seconds=answer.bound_seconds))


def trimmed(key: KeyState, *, upsert_disabled: bool) -> Finding:
    """The key as Vault shows it after the destruction."""
    checks = (
        _check(NOT_EXPORTABLE, not key.exportable),
        _check(NO_PLAINTEXT_BACKUP, not key.allow_plaintext_backup),
        _check(UPSERT_DISABLED, upsert_disabled),
    )
    return Finding(
        result=StepResult(
            key_version=key.latest_version,
            min_decryption_version=key.min_decryption_version,
            min_available_version=key.min_available_version,
            checks=checks,
        )
    )


def purged(answer: Purge) -> Finding:
    """What was deleted, and whether anything is left."""
    stores = tuple(
        StoreResult(store=store.store, deleted=store.deleted, remaining=store.remaining) for store in answer.stores
    )
    left = any(store.remaining for store in answer.stores)
    return Finding(failed=left, result=StepResult(stores=stores))


def limited(answer: Restriction) -> Finding:
    """Since when a restriction or an objection stands, or when it ended, and the data plane's answer by its digest."""
    digest = hashlib.sha256(json.dumps(answer.model_dump(mode="json"), sort_keys=True, separators=(",", ":")).encode())
    since = answer.lifted_at or answer.since
    return Finding(result=StepResult(observed_at=since, digest=f"sha256:{digest.hexdigest()}"))


def confirmed(answer: Restriction, wanted: str, at: datetime) -> Finding:
    """Whether the data plane, asked again, says what it must. It is recorded, not signed: nobody but us vouches."""
    as_wanted = answer.state == wanted
    found = limited(answer).result or StepResult()
    checks = (_check(LIMIT_CONFIRMED, as_wanted, f"the data plane says {answer.state}"),)
    result = found.model_copy(update={"checks": checks})
    return Finding(failed=not as_wanted, result=result, completed_at=at if as_wanted else None)


def told(entries: tuple[ProcessorProgress, ...], waiting: float | None) -> Finding:
    """How far each processor is. Once the last one is, the request comes back for its turn: others went ahead."""
    done = finished(entries)
    pause = (0.0 if entries else None) if done else waiting
    return Finding(finished=done, waiting=pause, processors=entries, result=StepResult() if done else None)


def _check(name: str, passed: bool, detail: str = "") -> Check:
    return Check(name=name, state=CheckState.PASSED if passed else CheckState.FAILED, detail=detail[:512])
