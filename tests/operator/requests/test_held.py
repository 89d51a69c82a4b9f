"""A legal hold wins over an erasure until the data plane has committed, and never afterwards."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from imagint_operator.api.requests import DataSubjectRequest, KeyVersions, Step, StepName, StepState
from imagint_operator.api.tenants import Tenant
from imagint_operator.conditions import no
from imagint_operator.decisions import Wait
from imagint_operator.requests import findings, progress
from imagint_operator.requests.observations import Observed
from imagint_operator.requests.plan import plan
from imagint_operator.requests.progress import Finding
from imagint_operator.requests.steps import ERASURE, Operation, Run, step
from imagint_operator.turns import in_line
from imagint_privacy.keys.ports import KeyState

Make = Callable[..., DataSubjectRequest]
KEY = KeyState("tenant-acme", 2, 1, 0, 0, exportable=False, allow_plaintext_backup=False, deletion_allowed=False)
VERSIONS = KeyVersions(from_=1, to=2)


@pytest.fixture
def observed(make_tenant: Callable[..., Tenant]) -> Observed:
    return Observed(make_tenant(), KEY, upsert_disabled=True, holds=("court",))


@pytest.fixture
def at(make_request: Make) -> Callable[..., DataSubjectRequest]:
    """An erasure whose next step is this one."""

    def make(name: StepName, state: StepState = StepState.PENDING, versions: KeyVersions | None = None) -> Any:
        before = dict.fromkeys(ERASURE[: ERASURE.index(name)], StepState.DONE) | {name: state}
        recorded = tuple(Step(name=known, state=before.get(known, StepState.PENDING)) for known in ERASURE)
        request = make_request()
        status = request.status.model_copy(update={"steps": recorded, "key_versions": versions})
        return request.model_copy(update={"status": status})

    return make


BEFORE = [StepName.HOLD_CHECK, StepName.FENCE, StepName.PROBE_BEFORE, StepName.ROTATE]
AFTER = ERASURE[ERASURE.index(StepName.COPY) :]


@pytest.mark.parametrize("name", [pytest.param(name, id=name.value) for name in BEFORE])
def test_an_erasure_waits_at_any_step_before_its_rotation_and_names_the_hold(
    at: Any, observed: Observed, now: datetime, name: StepName
) -> None:
    decision = plan(at(name), observed, now)
    assert isinstance(decision, Wait)
    assert (decision.reason, "court" in decision.message) == ("Held", True)


@pytest.mark.parametrize("name", [pytest.param(name, id=name.value) for name in AFTER])
def test_after_the_commit_a_hold_stops_nothing(at: Any, observed: Observed, now: datetime, name: StepName) -> None:
    assert isinstance(plan(at(name, versions=VERSIONS), observed, now), Run)


@pytest.mark.parametrize(
    ("state", "seen", "expected"),
    [
        pytest.param(StepState.PENDING, ((), False), Operation.CHECK_HOLDS_AGAIN, id="it asks before each commit"),
        pytest.param(StepState.PENDING, ((), True), Operation.COMMIT, id="nothing stands against it: it commits"),
        pytest.param(StepState.PENDING, (("court",), False), Operation.GIVE_BACK, id="held: it gives its turn back"),
        pytest.param(StepState.PENDING, (("court",), True), Operation.GIVE_BACK, id="placed at the last moment"),
        pytest.param(StepState.RUNNING, (("court",), False), Operation.CHECK_HOLDS_AGAIN,
                     id="a crash around the commit: the data plane knows whether it happened"),
        pytest.param(StepState.RUNNING, (("court",), True), Operation.GIVE_BACK, id="it had not happened"),
        pytest.param(StepState.RUNNING, ((), True), Operation.COMMIT, id="it had: the commit is only recorded"),
    ],
)  # fmt: skip
def test_around_the_commit(
    at: Any,
    observed: Observed,
    now: datetime,
    state: StepState,
    seen: tuple[tuple[str, ...], bool],
    expected: Operation,
) -> None:
    request = at(StepName.COMMIT, state, VERSIONS)
    decision = plan(request, replace(observed, holds=seen[0], rechecked=seen[1]), now)
    assert isinstance(decision, Run)
    assert decision.operation is expected


def test_given_back_it_waits_and_lets_others_by(at: Any, observed: Observed, now: datetime) -> None:
    request = at(StepName.COMMIT, StepState.RUNNING, VERSIONS)
    finding = Finding(finished=False, given_back=True)
    status = progress.advanced(request.status, StepName.ROTATE, finding, now)
    request = request.model_copy(update={"status": status})
    decision = plan(request, replace(observed, rechecked=True), now)
    assert isinstance(decision, Wait)
    assert status.key_versions is None
    assert {step(status, name).state for name in (StepName.ROTATE, StepName.COMMIT)} == {StepState.PENDING}
    held = progress.judged(request, status, no("Complete", decision.reason, decision.message), now)
    assert not in_line(request.model_copy(update={"status": held}))


def test_released_it_rotates_anew(at: Any, observed: Observed, now: datetime) -> None:
    request = at(StepName.ROTATE)
    assert plan(request, replace(observed, holds=()), now) == Run(StepName.ROTATE, Operation.RECORD_VERSIONS)


@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300)
@given(
    states=st.lists(st.sampled_from(StepState), min_size=12, max_size=12),
    versions=st.sampled_from([None, VERSIONS]),
    rechecked=st.booleans(),
)
def test_nothing_is_committed_under_a_hold_whatever_is_recorded(
    make_request: Make,
    observed: Observed,
    now: datetime,
    states: list[StepState],
    versions: KeyVersions | None,
    rechecked: bool,
) -> None:
    request = make_request()
    recorded = tuple(Step(name=name, state=state) for name, state in zip(ERASURE, states, strict=True))
    status = request.status.model_copy(update={"steps": recorded, "key_versions": versions})
    decision = plan(request.model_copy(update={"status": status}), replace(observed, rechecked=rechecked), now)
    assert not (isinstance(decision, Run) and decision.operation is Operation.COMMIT)


def test_the_check_is_recorded_with_its_count_and_its_time(at: Any, now: datetime) -> None:
    first = findings.holds_checked(KEY, upsert_disabled=True, at=now).result
    assert first is not None
    assert (first.active_holds, first.observed_at) == (0, now)
    request = at(StepName.COMMIT, versions=VERSIONS)
    later = now.replace(hour=20)
    status = progress.advanced(request.status, StepName.COMMIT, Finding(finished=False, holds=()), later)
    found = step(status, StepName.HOLD_CHECK).result
    assert found is not None
    assert (found.active_holds, found.observed_at) == (0, later)


def test_a_hold_that_comes_too_late_does_not_change_what_was_checked(at: Any, now: datetime) -> None:
    request = at(StepName.COMMIT, StepState.RUNNING, VERSIONS)
    status = progress.advanced(request.status, StepName.COMMIT, Finding(finished=False, holds=None), now)
    assert step(status, StepName.HOLD_CHECK) == step(request.status, StepName.HOLD_CHECK)
