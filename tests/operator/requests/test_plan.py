"""The erasure protocol: order, resumption, one at a time, and nothing destroyed too early."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from imagint_operator.api.requests import (
    DataSubjectRequest,
    DataSubjectRequestStatus,
    Evidence,
    KeyVersions,
    Step,
    StepName,
    StepResult,
    StepState,
)
from imagint_operator.api.tenants import Tenant
from imagint_operator.decisions import Rest, Wait
from imagint_operator.requests import progress
from imagint_operator.requests.observations import Observed, Turn, turn
from imagint_operator.requests.plan import plan
from imagint_operator.requests.progress import Finding
from imagint_operator.requests.steps import ERASURE, Operation, Run
from imagint_operator.turns import in_line
from imagint_privacy.keys.ports import KeyState

Make = Callable[..., DataSubjectRequest]
KEY = KeyState("tenant-acme", 1, 1, 0, 0, exportable=False, allow_plaintext_backup=False, deletion_allowed=False)
WHOLE_ERASURE = [
    operation for operation in Operation
    if operation not in {Operation.GIVE_BACK, Operation.APPLY, Operation.LIFT, Operation.CONFIRM}
]  # fmt: skip
DESTRUCTIVE = {Operation.RAISE_MINIMUM, Operation.TRIM}


@pytest.fixture
def observed(make_tenant: Callable[..., Tenant]) -> Observed:
    return Observed(make_tenant(), KEY, upsert_disabled=True)


def with_status(request: DataSubjectRequest, **changes: Any) -> DataSubjectRequest:
    return request.model_copy(update={"status": request.status.model_copy(update=changes)})


def steps(*done: StepName, running: StepName | None = None) -> tuple[Step, ...]:
    states = dict.fromkeys(done, StepState.DONE) | ({running: StepState.RUNNING} if running else {})
    return tuple(Step(name=name, state=states.get(name, StepState.PENDING)) for name in ERASURE)


def up_to(last: StepName) -> tuple[StepName, ...]:
    names = list(ERASURE)
    return tuple(names[: names.index(last)])


def carried_out(request: DataSubjectRequest, observed: Observed, run: Run, now: datetime) -> Any:
    """A world in which every operation works."""
    key = observed.key or KEY
    finding = Finding()
    match run.operation:
        case Operation.RECORD_VERSIONS:
            finding = Finding(
                finished=False, key_versions=KeyVersions(from_=key.latest_version, to=key.latest_version + 1)
            )
        case Operation.CHECK_HOLDS_AGAIN:
            finding = Finding(finished=False, holds=())
        case Operation.ROTATE:
            finding = Finding(finished=False)
            key = replace(key, latest_version=key.latest_version + 1)
        case Operation.RAISE_MINIMUM:
            finding = Finding(finished=False)
            key = replace(key, min_decryption_version=key.latest_version, min_encryption_version=key.latest_version)
        case Operation.TRIM:
            finding = Finding(finished=False)
            key = replace(key, min_available_version=key.latest_version)
        case Operation.PREPARE_CERTIFICATE:
            finding = Finding(finished=False, evidence=Evidence(salt="0" * 64), completed_at=now)
    status = progress.advanced(progress.running(request.status, run.step, now), run.step, finding, now)
    rechecked = observed.rechecked or run.operation is Operation.CHECK_HOLDS_AGAIN
    return request.model_copy(update={"status": status}), replace(observed, key=key, rechecked=rechecked)


def test_a_whole_erasure_in_order(make_request: Make, observed: Observed, now: datetime) -> None:
    request = make_request()
    operations: list[Operation] = []
    request = request.model_copy(update={"status": progress.begun(request, now)})
    while len(operations) < 30 and isinstance(run := plan(request, observed, now), Run):
        operations.append(run.operation)
        if run.operation is Operation.CERTIFY:
            break
        request, observed = carried_out(request, observed, run, now)
    assert operations == WHOLE_ERASURE


def test_a_finished_request_plans_nothing(make_request: Make, observed: Observed, now: datetime) -> None:
    request = make_request()
    status = progress.judged(request, progress.begun(request, now), progress.complete(request), now)
    assert plan(request.model_copy(update={"status": status}), observed, now) == Rest()


@pytest.mark.parametrize("name", [pytest.param(name, id=name.value) for name in ERASURE])
def test_a_crash_in_a_step_takes_it_up_again(
    make_request: Make, observed: Observed, now: datetime, name: StepName
) -> None:
    request = with_status(
        make_request(), steps=steps(*up_to(name), running=name), key_versions=KeyVersions(from_=1, to=2)
    )
    decision = plan(request, replace(observed, key=replace(KEY, latest_version=2)), now)
    assert isinstance(decision, Run)
    assert decision.step is name


def test_a_key_that_a_restored_vault_made_older_is_not_rotated_blindly(
    make_request: Make, make_tenant: Callable[..., Any], observed: Observed, now: datetime
) -> None:
    key = {"name": "tenant-acme", "version": 4, "destroyedBelow": 4}
    request = with_status(make_request(), steps=steps(*up_to(StepName.ROTATE)))
    for latest, reason in ((3, "KeyBehind"), (4, None)):
        seen = replace(observed, tenant=make_tenant(status={"key": key}), key=replace(KEY, latest_version=latest))
        assert getattr(plan(request, seen, now), "reason", None) == reason


@pytest.mark.parametrize(
    ("versions", "latest", "expected"),
    [
        pytest.param(None, 4, Operation.RECORD_VERSIONS, id="the versions are recorded before anything is rotated"),
        pytest.param((4, 5), 4, Operation.ROTATE, id="recorded and not yet rotated: rotate"),
        pytest.param((4, 5), 5, Operation.CONFIRM_ROTATION, id="rotated before a crash: not rotated again"),
        pytest.param((4, 5), 7, Operation.CONFIRM_ROTATION, id="rotated by hand meanwhile: the newest is used"),
        pytest.param((4, 5), 3, "KeyBehind", id="an older key came out of a snapshot: nothing is done"),
    ],
)
def test_the_key_is_rotated_once(
    make_request: Make,
    observed: Observed,
    now: datetime,
    versions: tuple[int, int] | None,
    latest: int,
    expected: object,
) -> None:
    recorded = KeyVersions(from_=versions[0], to=versions[1]) if versions else None
    request = with_status(make_request(), steps=steps(*up_to(StepName.ROTATE)), key_versions=recorded)
    decision = plan(request, replace(observed, key=replace(KEY, latest_version=latest)), now)
    assert (decision.operation if isinstance(decision, Run) else getattr(decision, "reason", None)) == expected


@pytest.mark.parametrize(
    ("minimum", "available", "expected"),
    [
        pytest.param(1, 0, Operation.RAISE_MINIMUM, id="first the minimums"),
        pytest.param(2, 0, Operation.TRIM, id="then the trim"),
        pytest.param(2, 2, Operation.CONFIRM_TRIM, id="a crash after the trim: it is only recorded"),
    ],
)
def test_the_key_is_trimmed_by_what_is_seen(
    make_request: Make, observed: Observed, now: datetime, minimum: int, available: int, expected: Operation
) -> None:
    key = replace(KEY, latest_version=2, min_decryption_version=minimum, min_encryption_version=minimum,
                  min_available_version=available)  # fmt: skip
    request = with_status(make_request(), steps=steps(*up_to(StepName.TRIM)), key_versions=KeyVersions(from_=1, to=2))
    assert plan(request, replace(observed, key=key), now) == Run(StepName.TRIM, expected)


STATES = st.sampled_from(StepState)


@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=400)
@given(
    states=st.lists(STATES, min_size=12, max_size=12),
    versions=st.one_of(st.none(), st.tuples(st.integers(1, 3), st.integers(2, 4))),
    key=st.builds(
        lambda latest, low, enc, available: replace(
            KEY, latest_version=latest, min_decryption_version=low, min_encryption_version=enc,
            min_available_version=available,
        ),
        st.integers(1, 4), st.integers(1, 4), st.integers(0, 4), st.integers(0, 4),
    ),
)  # fmt: skip
def test_nothing_is_destroyed_before_the_new_tree_is_safe(
    make_request: Make,
    observed: Observed,
    now: datetime,
    states: list[StepState],
    versions: tuple[int, int] | None,
    key: KeyState,
) -> None:
    """Safety, over any recorded status, even one that no honest run can produce, and any state of the key."""
    recorded = tuple(Step(name=name, state=state) for name, state in zip(ERASURE, states, strict=True))
    pair = KeyVersions(from_=versions[0], to=versions[1]) if versions else None
    request = with_status(make_request(), steps=recorded, key_versions=pair)
    decision = plan(request, replace(observed, key=key), now)
    if isinstance(decision, Run) and decision.operation in DESTRUCTIVE:
        by_name = {step.name: step.state for step in recorded}
        needed = (StepName.FENCE, StepName.PROBE_BEFORE, StepName.COMMIT, StepName.COPY, StepName.DROP_CACHES)
        assert all(by_name[name] is StepState.DONE for name in needed)
        assert pair is not None
        assert key.latest_version >= pair.to
    if isinstance(decision, Run) and decision.operation is Operation.ROTATE:
        assert pair is not None
        assert key.latest_version == pair.from_


class TestLine:
    """One erasure of a tenant at a time."""

    def test_the_oldest_goes_first(self, make_request: Make, observed: Observed, now: datetime) -> None:
        older = Turn(behind=True, received_at=now - timedelta(hours=1), name="bob")
        decision = plan(make_request(), replace(observed, others=(older,)), now)
        assert isinstance(decision, Wait)
        assert decision.reason == "Queued"
        assert "bob" in decision.message

    def test_of_the_same_age_the_name_decides(self, make_request: Make, observed: Observed, now: datetime) -> None:
        same = Turn(behind=True, received_at=now, name="zoe")
        assert isinstance(plan(make_request(), replace(observed, others=(same,)), now), Run)

    def test_one_that_has_rotated_goes_before_an_older(
        self, make_request: Make, observed: Observed, now: datetime
    ) -> None:
        rotated = Turn(behind=False, received_at=now + timedelta(hours=1), name="zoe")
        assert isinstance(plan(make_request(), replace(observed, others=(rotated,)), now), Wait)

    def test_while_one_is_in_work_the_others_wait(self, make_request: Make, observed: Observed, now: datetime) -> None:
        assert isinstance(plan(make_request(), replace(observed, busy="uid-bob"), now), Wait)
        assert isinstance(plan(make_request(), replace(observed, busy="uid-ada"), now), Run)

    def test_exactly_one_of_any_line_goes(self, make_request: Make, observed: Observed, now: datetime) -> None:
        makers = [
            make_request("a"),
            make_request("b", spec={"receivedAt": (now - timedelta(days=1)).isoformat()}),
            with_status(
                make_request("c"), key_versions=KeyVersions(from_=1, to=2), steps=steps(*up_to(StepName.COMMIT))
            ),
        ]
        for size in (1, 2, 3):
            for line in itertools.combinations(makers, size):
                going = [
                    request.name
                    for request in line
                    if isinstance(
                        plan(request, replace(observed, others=tuple(turn(o) for o in line if o is not request)), now),
                        Run,
                    )
                ]
                assert len(going) == 1

    def test_one_whose_probe_failed_lets_the_others_by_unless_its_key_is_half_destroyed(
        self, make_request: Make, now: datetime
    ) -> None:
        stuck = make_request(status={"conditions": [_condition("ProbeFailed", now)]})
        assert not in_line(stuck)
        assert in_line(with_status(stuck, key_versions=KeyVersions(from_=1, to=2)))

    def test_other_rights_are_not_in_the_line(self, make_request: Make) -> None:
        assert not in_line(make_request(spec={"type": "Access"}))


@pytest.mark.parametrize(
    ("spec", "metadata", "reason"),
    [
        pytest.param({"type": "Access"}, {}, "NotYetExecutable", id="other rights wait with their clock"),
        pytest.param({"receivedAt": "2026-11-23T13:00:00Z"}, {}, "NotYetReceived", id="a request from the future"),
    ],
)
def test_what_is_not_carried_out(
    make_request: Make,
    observed: Observed,
    now: datetime,
    spec: dict[str, Any],
    metadata: dict[str, Any],
    reason: str,
) -> None:
    decision = plan(make_request(spec=spec, **metadata), observed, now)
    assert isinstance(decision, Wait)
    assert decision.reason == reason


def test_a_namespace_without_a_tenant_waits(make_request: Make, now: datetime) -> None:
    decision = plan(make_request(), Observed(), now)
    assert isinstance(decision, Wait)
    assert decision.reason == "TenantMissing"


def test_a_tenant_on_its_way_out_starts_no_erasure_but_ends_one(
    make_request: Make, make_tenant: Callable[..., Tenant], observed: Observed, now: datetime
) -> None:
    begun_to_end = {"deletion": {"step": "Drain", "startedAt": now.isoformat()}}
    gone = make_tenant(status=begun_to_end, deletionTimestamp=now.isoformat())
    leaving = replace(observed, tenant=gone, key=replace(KEY, latest_version=2))
    assert isinstance(plan(make_request(), leaving, now), Wait)
    kept = replace(leaving, tenant=make_tenant(deletionTimestamp=now.isoformat()))  # its deletion is refused
    assert isinstance(plan(make_request(), kept, now), Run)
    begun = with_status(make_request(), steps=steps(*up_to(StepName.COMMIT)), key_versions=KeyVersions(from_=1, to=2))
    assert isinstance(plan(begun, leaving, now), Run)


class TestProgress:
    """How the record moves."""

    def test_the_clock_is_written_at_first_sight(self, make_request: Make, now: datetime) -> None:
        status = progress.begun(make_request(), now)
        assert status.due_by is not None
        assert [step.state for step in status.steps] == [StepState.PENDING] * 12

    def test_nothing_held_skips_to_the_recipients(self, make_request: Make, observed: Observed, now: datetime) -> None:
        request = make_request()
        status = progress.advanced(progress.begun(request, now), StepName.HOLD_CHECK, Finding(), now)
        status = progress.advanced(status, StepName.FENCE, Finding(nothing_held=True, result=StepResult(paths=0)), now)
        decision = plan(request.model_copy(update={"status": status}), observed, now)
        assert decision == Run(StepName.PROCESSORS, Operation.TELL_PROCESSORS), "they may hold what has expired here"
        waiting = request.model_copy(update={"status": progress.running(status, StepName.PROCESSORS, now)})
        assert not in_line(waiting), "waiting for them holds up nobody"
        status = progress.advanced(status, StepName.PROCESSORS, Finding(), now)
        decision = plan(request.model_copy(update={"status": status}), observed, now)
        assert decision == Run(StepName.CERTIFICATE, Operation.PREPARE_CERTIFICATE)
        assert progress.complete(request.model_copy(update={"status": status})).reason == "NothingHeld"

    def test_a_step_keeps_the_time_it_was_first_begun(self, make_request: Make, now: datetime) -> None:
        status = progress.running(progress.begun(make_request(), now), StepName.FENCE, now)
        again = progress.running(status, StepName.FENCE, now + timedelta(hours=1))
        assert again == status

    def test_the_key_is_destroyed_only_once_trimmed(self, make_request: Make, now: datetime) -> None:
        request = make_request()

        def destroyed(status: DataSubjectRequestStatus) -> str:
            verdict = progress.in_progress(status)
            return progress.judged(request, status, verdict, now).conditions[1].status.value

        status = progress.begun(request, now).model_copy(update={"key_versions": KeyVersions(from_=1, to=2)})
        assert destroyed(status) == "False"
        assert destroyed(progress.advanced(status, StepName.TRIM, Finding(), now)) == "True"


def _condition(reason: str, now: datetime) -> dict[str, str]:
    return {
        "type": "Complete", "status": "False", "reason": reason, "message": "", "lastTransitionTime": now.isoformat()
    }  # fmt: skip
