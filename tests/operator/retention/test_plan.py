"""The plan of a run of retention: order, resumption, turns with erasures, and nothing destroyed too early."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from imagint_operator.api.requests import KeyVersions
from imagint_operator.api.retention import RetentionRun, RetentionStatus, RetentionStep
from imagint_operator.api.tenants import Tenant
from imagint_operator.dataplane.answers import Commit, Purge, Retention
from imagint_operator.decisions import Rest, Wait
from imagint_operator.retention import findings, progress
from imagint_operator.retention.findings import Finding
from imagint_operator.retention.observations import HOLDER, Observed
from imagint_operator.retention.plan import Operation, Run, plan, recorded
from imagint_privacy.keys.ports import KeyState

At = Callable[..., Tenant]
KEY = KeyState("tenant-acme", 1, 1, 0, 0, exportable=False, allow_plaintext_backup=False, deletion_allowed=False)
RULES: list[dict[str, Any]] = [{"category": "images", "keepMonths": 24}, {"category": "prompts", "keepDays": 30}]
DESTRUCTIVE = {Operation.RAISE_MINIMUM, Operation.TRIM}
DUE = {"images": 2}
VERSIONS = KeyVersions(from_=1, to=2)


def answer(state: str = "Begun", due: dict[str, int] = DUE, slices: int = 0, **more: Any) -> Retention:
    counts = {"due": due, "withheld": {"images": 1}, "unknown": {"notes": 5}}
    return Retention.model_validate(
        {"request": "r", "state": state, "rules_digest": "ab" * 32, "counts": counts, "slices": slices, **more}
    )


def with_status(tenant: Tenant, status: RetentionStatus | None) -> Tenant:
    return tenant.model_copy(update={"status": tenant.status.model_copy(update={"retention": status})})


def found_by(operation: Operation, run: RetentionRun, key: KeyState) -> tuple[Finding, KeyState]:
    """A world in which every operation works."""
    new = key.latest_version
    keys = {
        Operation.ROTATE: replace(key, latest_version=new + 1),
        Operation.RAISE_MINIMUM: replace(key, min_decryption_version=new, min_encryption_version=new),
        Operation.TRIM: replace(key, min_available_version=new),
    }
    if operation in keys:
        return Finding(), keys[operation]
    commit = Commit(generation=2, key_version=new, forgotten_paths=2)
    found = {
        Operation.BEGIN: findings.begun(answer()),
        Operation.RECORD_VERSIONS: findings.versions_recorded(key),
        Operation.CONFIRM_ROTATION: findings.rotated(run.key_versions or VERSIONS, key),
        Operation.COMMIT: findings.committed(commit, answer(slices=1), run),
        Operation.COPY: Finding(RetentionStep.DROP_CACHES, {"copies": 1}),
        Operation.DROP_CACHES: Finding(RetentionStep.TRIM, {"bound_seconds": 5.0}),
        Operation.CONFIRM_TRIM: Finding(RetentionStep.PURGE),
        Operation.PURGE: findings.purged(Purge(stores=())),
        Operation.COMPLETE: Finding(completed=answer("Complete", forgotten=DUE)),
    }
    return found[operation], key


def carried_out(tenant: Tenant, observed: Observed, operation: Operation, now: datetime) -> tuple[Tenant, Observed]:
    if operation is Operation.SCHEDULE:
        return with_status(tenant, progress.scheduled(tenant, now)), observed
    if operation is Operation.START:
        return with_status(tenant, progress.started(tenant, now)), observed
    if operation is Operation.CHECK_HOLDS_AGAIN:
        return tenant, replace(observed, rechecked=True)
    run = recorded(tenant).current
    assert run is not None
    finding, key = found_by(operation, run, observed.key or KEY)
    return with_status(tenant, progress.advanced(recorded(tenant), finding, now)), replace(observed, key=key)


def test_a_whole_run_in_order_ends_in_rest(tenant: Tenant, now: datetime) -> None:
    observed = Observed(KEY)
    operations: list[Operation] = []
    while len(operations) < 30 and isinstance(decision := plan(tenant, observed, now), Run):
        operations.append(decision.operation)
        tenant, observed = carried_out(tenant, observed, decision.operation, now)
    whole = [operation for operation in Operation if operation not in {Operation.SCHEDULE, Operation.DROP}]
    assert operations == whole
    status = recorded(tenant)
    assert plan(tenant, observed, now) == Rest(status.next_at)
    assert status.last is not None
    assert (status.last.forgotten_paths, status.last.withheld_paths, status.last.key_version) == (2, 1, 2)
    assert {count.category: count.without_rule for count in status.last.counts} == {"images": 0, "notes": 5}


def test_nothing_due_ends_without_a_rotation(tenant: Tenant, now: datetime, at: At) -> None:
    run = at(tenant, RetentionStep.BEGIN)
    after = with_status(run, progress.advanced(recorded(run), findings.begun(answer(due={})), now))
    assert plan(after, Observed(KEY), now) == Run(Operation.COMPLETE)


def test_a_run_that_has_not_counted_all_is_asked_again(tenant: Tenant, now: datetime, at: At) -> None:
    run = at(tenant, RetentionStep.BEGIN)
    found = findings.begun(answer("Counting"))
    assert found.waiting == 0.0
    after = with_status(run, progress.advanced(recorded(run), found, now))
    assert plan(after, Observed(KEY), now) == Run(Operation.BEGIN)


def test_several_slices_rotate_once_more_because_the_roots_between_them_open_what_later_ones_forgot(
    tenant: Tenant, now: datetime, at: At
) -> None:
    run = recorded(at(tenant, RetentionStep.COMMIT)).current
    assert run is not None
    first = findings.committed(Commit(generation=4, key_version=2, forgotten_paths=9), answer(slices=3), run)
    assert (first.next, first.changes["key_versions"]) == (RetentionStep.ROTATE, KeyVersions(from_=2, to=3))
    again = run.model_copy(update=dict(first.changes))
    second = findings.committed(Commit(generation=5, key_version=3, forgotten_paths=9), answer(slices=3), again)
    assert second.next is RetentionStep.COPY


@pytest.mark.parametrize("step", [pytest.param(step, id=step.value) for step in RetentionStep])
def test_a_crash_in_a_step_takes_it_up_again(tenant: Tenant, now: datetime, step: RetentionStep, at: At) -> None:
    seen = Observed(replace(KEY, latest_version=2))
    fields = {"key_versions": VERSIONS} if step is RetentionStep.ROTATE else {}
    decision = plan(at(tenant, step, **fields), seen, now)
    assert isinstance(decision, Run)
    expected = {
        RetentionStep.ROTATE: Operation.CONFIRM_ROTATION,
        RetentionStep.COMMIT: Operation.CHECK_HOLDS_AGAIN,
        RetentionStep.TRIM: Operation.RAISE_MINIMUM,
    }
    assert decision.operation == expected.get(step, step.value)


@pytest.mark.parametrize(
    ("versions", "latest", "destroyed", "expected"),
    [
        pytest.param(None, 4, 0, Operation.RECORD_VERSIONS, id="the versions are recorded before anything is rotated"),
        pytest.param((4, 5), 4, 0, Operation.ROTATE, id="recorded and not yet rotated: rotate"),
        pytest.param((4, 5), 5, 0, Operation.CONFIRM_ROTATION, id="rotated before a crash: not rotated again"),
        pytest.param((4, 5), 7, 0, Operation.CONFIRM_ROTATION, id="rotated by hand meanwhile: the newest is used"),
        pytest.param((4, 5), 3, 0, "KeyBehind", id="an older key came out of a snapshot: nothing is done"),
        pytest.param(None, 3, 4, "KeyBehind", id="older than what was destroyed: nothing is begun"),
    ],
)
def test_the_key_is_rotated_once(
    *,
    make_tenant: Callable[..., Tenant],
    at: At,
    versions: tuple[int, int] | None,
    latest: int,
    destroyed: int,
    expected: str,
    now: datetime,
) -> None:
    key = {"key": {"name": "tenant-acme", "version": 4, "destroyedBelow": destroyed}}
    pair = KeyVersions(from_=versions[0], to=versions[1]) if versions else None
    tenant = at(make_tenant(spec={"retention": RULES}, status=key), RetentionStep.ROTATE, key_versions=pair)
    decision = plan(tenant, Observed(replace(KEY, latest_version=latest)), now)
    assert (decision.operation if isinstance(decision, Run) else getattr(decision, "reason", None)) == expected


def test_without_a_key_nothing_is_rotated(tenant: Tenant, now: datetime, at: At) -> None:
    decision = plan(at(tenant, RetentionStep.ROTATE), Observed(None), now)
    assert isinstance(decision, Wait)
    assert decision.reason == "KeyMissing"


@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=400)
@given(
    step=st.sampled_from(RetentionStep),
    versions=st.one_of(st.none(), st.tuples(st.integers(1, 3), st.integers(2, 4))),
    fields=st.fixed_dictionaries(
        {
            "generation": st.one_of(st.none(), st.integers(1, 9)),
            "key_version": st.one_of(st.none(), st.integers(1, 4)),
            "copies": st.one_of(st.none(), st.integers(0, 2)),
            "bound_seconds": st.one_of(st.none(), st.just(5.0)),
        }
    ),
    key=st.tuples(st.integers(1, 4), st.integers(1, 4), st.integers(0, 4), st.integers(0, 4)),
    ahead=st.sampled_from(((), ("ada",))),
    busy=st.sampled_from(("", HOLDER, "uid-ada")),
)
def test_nothing_is_destroyed_before_the_new_tree_is_safe(
    *,
    tenant: Tenant,
    now: datetime,
    step: RetentionStep,
    versions: tuple[int, int] | None,
    fields: dict[str, Any],
    key: tuple[int, int, int, int],
    ahead: tuple[str, ...],
    busy: str,
    at: At,
) -> None:
    """Safety, over any recorded status, even one that no honest run can produce, and any state of the key."""
    pair = KeyVersions(from_=versions[0], to=versions[1]) if versions else None
    run = at(tenant, step, **fields, key_versions=pair)
    state = replace(
        KEY, latest_version=key[0], min_decryption_version=key[1], min_encryption_version=key[2],
        min_available_version=key[3],
    )  # fmt: skip
    decision = plan(run, Observed(state, ahead, busy), now)
    if isinstance(decision, Run) and decision.operation in DESTRUCTIVE:
        assert step is RetentionStep.TRIM
        assert pair is not None
        assert fields["generation"] is not None
        assert fields["key_version"] is not None
        assert fields["key_version"] >= pair.to
        assert fields["copies"]
        assert fields["bound_seconds"] is not None
        assert key[0] >= pair.to
    if isinstance(decision, Run) and decision.operation is Operation.ROTATE:
        assert pair is not None
        assert key[0] == pair.from_
    if isinstance(decision, Run):
        assert busy in {"", HOLDER}
        assert not ahead or pair is not None or decision.operation is Operation.DROP
