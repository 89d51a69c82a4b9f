"""A certificate says what was recorded, is the same after a crash, and is refused when the record does not bear it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from imagint_operator.api.requests import (
    DataSubjectRequest,
    DataSubjectRequestStatus,
    Evidence,
    KeyVersions,
    StepName,
    StepResult,
)
from imagint_operator.dataplane.answers import (
    Caches,
    Commit,
    Copies,
    Fence,
    Held,
    ProbeCheck,
    ProbeReport,
    Purge,
    Purged,
    ReplicaSeen,
    TreeCopy,
)
from imagint_operator.errors import EvidenceRefusedError
from imagint_operator.requests import certificates, findings, progress
from imagint_operator.requests.certificates import Issuer
from imagint_operator.requests.progress import Finding
from imagint_privacy import evidence as ev
from imagint_privacy.keys.ports import KeyState

ISSUER = Issuer("0.1.0", None, "2024-08-02", timedelta(days=30))
UNREAD = TreeCopy(store="c", generation=1, root_digest="d", read_back=False)
UID = "11111111-2222-3333-4444-555555555555"


def report(names: tuple[str, ...], at: datetime, failing: str = "") -> ProbeReport:
    checks = tuple(ProbeCheck(name=name, passed=name != failing, detail="seen") for name in names)
    return ProbeReport(passed=not failing, checks=checks, observed_at=at)


@pytest.fixture
def request_(make_request: Callable[..., DataSubjectRequest]) -> DataSubjectRequest:
    return make_request(uid=UID)


@pytest.fixture
def erased(request_: DataSubjectRequest, now: datetime) -> DataSubjectRequestStatus:
    """The record of a whole erasure."""
    before = KeyState("tenant-acme", 1, 1, 0, 0, False, False, False, {1: "2026-01-01T00:00:00Z"})
    after = KeyState("tenant-acme", 2, 2, 2, 2, False, False, False)
    digest = "sha256:" + "ab" * 32
    held = Held(paths=2, records={"prompts": 1, "images": 1}, objects=1)
    trimmed = findings.trimmed(after, upsert_disabled=True)
    recorded = findings.versions_recorded(before)
    found: dict[StepName, Finding] = {
        StepName.HOLD_CHECK: findings.holds_checked(before, upsert_disabled=True),
        StepName.FENCE: findings.fenced(
            Fence(request="r", state="Fenced", held=held, generation=1, key_version=1, incarnation=0)
        ),
        StepName.PROBE_BEFORE: findings.probed(report(ev.CHECKS_BEFORE, now)),
        StepName.ROTATE: findings.rotated(KeyVersions(from_=1, to=2), after, recorded.result),
        StepName.COMMIT: findings.committed(Commit(generation=2, key_version=2, forgotten_paths=2)),
        StepName.COPY: findings.copied(
            Copies(copies=(TreeCopy(store="copy-0", generation=2, root_digest=digest, read_back=True),))
        ),
        StepName.DROP_CACHES: findings.dropped(Caches(replicas=(ReplicaSeen(id="r0"),), bound_seconds=5)),
        StepName.TRIM: Finding(result=trimmed.result, snapshot_retention=timedelta(days=30)),
        StepName.PURGE: findings.purged(Purge(stores=(Purged(store="database", deleted=2, remaining=0),))),
        StepName.PROBE_AFTER: findings.probed(report(ev.CHECKS_AFTER, now)),
        StepName.PROCESSORS: Finding(),
        StepName.CERTIFICATE: Finding(finished=False, evidence=Evidence(salt="0" * 64), completed_at=now),
    }
    status = progress.begun(request_, now)
    for name, finding in found.items():
        status = progress.advanced(status, name, finding, now)
    return status


def test_an_erasure_can_be_stated_and_is_the_same_after_a_crash(
    request_: DataSubjectRequest, erased: DataSubjectRequestStatus
) -> None:
    first = certificates.statement(request_, erased, ISSUER)
    stored = DataSubjectRequestStatus.model_validate(erased.to_wire())
    assert certificates.statement(request_, stored, ISSUER) == first
    assert request_.spec.subject.encode() not in first
    assert b"ada" not in first


def test_that_nothing_was_held_can_be_stated(request_: DataSubjectRequest, now: datetime) -> None:
    status = progress.begun(request_, now)
    status = progress.advanced(status, StepName.HOLD_CHECK, Finding(result=StepResult(active_holds=0)), now)
    status = progress.advanced(status, StepName.FENCE, Finding(nothing_held=True, result=StepResult()), now)
    prepared = Finding(finished=False, evidence=Evidence(salt="0" * 64), completed_at=now)
    status = progress.advanced(status, StepName.CERTIFICATE, prepared, now)
    assert b"NothingHeld" in certificates.statement(request_, status, ISSUER)


def _without(name: StepName) -> Callable[[DataSubjectRequestStatus], dict[str, Any]]:
    return lambda status: {"steps": tuple(step for step in status.steps if step.name is not name)}


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda status: {"evidence": None}, id="no salt"),
        pytest.param(lambda status: {"completed_at": None}, id="no end"),
        pytest.param(lambda status: {"key_versions": KeyVersions(from_=2, to=2)}, id="a version that did not rise"),
        pytest.param(lambda status: {"irrecoverable_after": None}, id="no word about snapshots"),
        *(pytest.param(_without(name), id=f"{name} not recorded") for name in (
            StepName.HOLD_CHECK, StepName.FENCE, StepName.PROBE_BEFORE, StepName.ROTATE, StepName.COMMIT,
            StepName.COPY, StepName.DROP_CACHES, StepName.TRIM, StepName.PURGE, StepName.PROBE_AFTER)),
    ],
)  # fmt: skip
def test_what_is_not_recorded_is_not_claimed(
    request_: DataSubjectRequest, erased: DataSubjectRequestStatus, spoil: Callable[..., dict[str, Any]]
) -> None:
    with pytest.raises(EvidenceRefusedError):
        certificates.statement(request_, erased.model_copy(update=spoil(erased)), ISSUER)


def test_a_failed_probe_cannot_become_a_certificate(
    request_: DataSubjectRequest, erased: DataSubjectRequestStatus, now: datetime
) -> None:
    failed = findings.probed(report(ev.CHECKS_AFTER, now, failing="erased-canary-refused"))
    assert failed.failed
    status = progress.advanced(erased, StepName.PROBE_AFTER, Finding(result=failed.result), now)
    with pytest.raises(EvidenceRefusedError, match="erased-canary-refused"):
        certificates.statement(request_, status, ISSUER)


@pytest.mark.parametrize(
    ("key", "upsert_disabled"),
    [
        pytest.param(None, True, id="no key"),
        pytest.param(KeyState("k", 1, 1, 0, 0, True, False, False), True, id="an exportable key"),
        pytest.param(KeyState("k", 1, 1, 0, 0, False, True, False), True, id="a key that can be backed up"),
        pytest.param(KeyState("k", 1, 1, 0, 0, False, False, False), False, id="a Vault that makes keys by itself"),
    ],
)
def test_a_proof_that_would_be_worthless_is_not_begun(key: KeyState | None, upsert_disabled: bool) -> None:
    assert findings.holds_checked(key, upsert_disabled=upsert_disabled).failed


@pytest.mark.parametrize(
    "finding",
    [
        pytest.param(findings.copied(Copies(copies=())), id="no copy of the new tree"),
        pytest.param(findings.copied(Copies(copies=(UNREAD,))), id="a copy that was not read back"),
        pytest.param(findings.purged(Purge(stores=(Purged(store="objects", deleted=1, remaining=1),))),
                     id="something remains"),
    ],
)  # fmt: skip
def test_half_done_is_not_done(finding: Finding) -> None:
    assert finding.failed


def test_the_config_map_is_immutable_and_known_by_its_request(
    request_: DataSubjectRequest, make_request: Callable[..., DataSubjectRequest]
) -> None:
    first, _ = certificates.config_map_names(request_)
    made = certificates.config_map(request_, first, b"{}")
    assert made["metadata"]["name"] == "dsr-ada-certificate"
    assert certificates.belongs(made, request_)
    assert not certificates.belongs(made, make_request(uid="another"))
    assert not certificates.belongs({**made, "immutable": False}, request_)
    unlabelled = {**made, "metadata": {**made["metadata"], "labels": {}}}
    assert not certificates.belongs(unlabelled, request_), "whoever may write ConfigMaps there could forge one"


def test_a_request_of_an_earlier_ones_name_has_a_second_name_for_its_certificate(
    request_: DataSubjectRequest, make_request: Callable[..., DataSubjectRequest]
) -> None:
    (first, second), (taken, other) = map(certificates.config_map_names, (request_, make_request(uid="another")))
    assert first == taken
    assert len({first, second, other}) == 3
    assert certificates.belongs(certificates.config_map(request_, second, b"{}"), request_)
