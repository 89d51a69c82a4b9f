"""Restrictions, objections and the lifting of either: in order, resumed, watched over, never silently ended."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from imagint_operator.api.requests import DataSubjectRequest, RequestType, Step, StepName, StepState
from imagint_operator.api.tenants import Tenant
from imagint_operator.conditions import find
from imagint_operator.dataplane.answers import Restriction
from imagint_operator.decisions import Rest, Wait
from imagint_operator.requests import findings, progress
from imagint_operator.requests.observations import Observed
from imagint_operator.requests.plan import plan
from imagint_operator.requests.progress import Finding
from imagint_operator.requests.steps import EXECUTED, Operation, Run, steps_of

Make = Callable[..., DataSubjectRequest]
LIFT = {"request": "ada", "ground": "PersonAsked", "informedAt": "2026-11-23T12:00:00Z"}
DONE = {"type": "Complete", "status": "True", "reason": "Restricted", "message": "",
        "lastTransitionTime": "2026-11-23T12:00:00Z"}  # fmt: skip


@pytest.fixture
def observed(make_tenant: Callable[..., Tenant]) -> Observed:
    return Observed(make_tenant())


@pytest.fixture
def standing(make_request: Make) -> DataSubjectRequest:
    """A restriction that was carried out."""
    return make_request(spec={"type": "Restrict"}, status={"conditions": [DONE]})


def answer(state: str, now: datetime, **more: Any) -> Restriction:
    return Restriction(request="uid-ada", kind="Restrict", state=state, subject="s", received_at=now, since=now, **more)


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        pytest.param({"type": "Restrict"}, [Operation.APPLY, Operation.CONFIRM], id="a restriction"),
        pytest.param({"type": "Object"}, [Operation.APPLY, Operation.CONFIRM], id="an objection"),
        pytest.param({"type": "Restrict", "lift": LIFT}, [Operation.LIFT, Operation.CONFIRM], id="a lifting"),
    ],
)
def test_each_goes_in_order_and_ends_in_rest(
    make_request: Make,
    make_tenant: Callable[..., Tenant],
    standing: DataSubjectRequest,
    now: datetime,
    spec: dict[str, Any],
    expected: list[Operation],
) -> None:
    request, observed = make_request("bob", spec=spec), Observed(make_tenant(), lifted=standing)
    request = request.model_copy(update={"status": progress.begun(request, now)})
    done: list[Operation] = []
    while isinstance(run := plan(request, observed, now), Run):
        assert plan(request, observed, now) == run
        done.append(run.operation)
        status = progress.advanced(progress.running(request.status, run.step, now), run.step, Finding(), now)
        request = request.model_copy(update={"status": status})
    assert done == expected
    assert run == Rest()
    assert progress.finished(request)


@pytest.mark.parametrize("name", [StepName.APPLY, StepName.CONFIRM])
def test_a_crash_in_a_step_takes_it_up_again(
    make_request: Make, observed: Observed, now: datetime, name: StepName
) -> None:
    done = (Step(name=StepName.APPLY, state=StepState.DONE),) if name is StepName.CONFIRM else ()
    request = make_request(spec={"type": "Restrict"})
    status = request.status.model_copy(update={"steps": (*done, Step(name=name, state=StepState.RUNNING))})
    decision = plan(request.model_copy(update={"status": status}), observed, now)
    assert isinstance(decision, Run)
    assert decision.step is name


@pytest.mark.parametrize(
    ("lifted", "message"),
    [
        pytest.param(None, "there is no request ada", id="nothing of that name"),
        pytest.param({"type": "Object"}, "another type", id="of another type"),
        pytest.param({"subject": "subj-" + "b" * 26}, "another subject", id="about somebody else"),
        pytest.param({"lift": LIFT}, "itself lifts", id="itself a lifting"),
        pytest.param({}, "not Complete", id="not carried out yet"),
    ],
)
def test_what_cannot_be_lifted_waits_and_says_why(
    make_request: Make, observed: Observed, now: datetime, lifted: dict[str, Any] | None, message: str
) -> None:
    named = None if lifted is None else make_request(spec={"type": "Restrict"} | lifted)
    request = make_request("bob", spec={"type": "Restrict", "lift": LIFT})
    decision = plan(request, Observed(observed.tenant, lifted=named), now)
    assert isinstance(decision, Wait)
    assert decision.reason == "NothingToLift"
    assert message in decision.message


def test_it_is_in_force_once_confirmed_and_until_it_is_lifted(make_request: Make, now: datetime) -> None:
    request = make_request(spec={"type": "Restrict"})

    def says(status: Any) -> tuple[str, str]:
        known = request.model_copy(update={"status": status})
        found = find(progress.judged(known, status, progress.complete(known), now).conditions, "InForce")
        assert found is not None
        return found.status.value, found.reason

    status = progress.begun(request, now)
    assert says(status) == ("False", "NotYet")
    status = progress.advanced(status, StepName.CONFIRM, Finding(), now)
    assert says(status) == ("True", "Restricted")
    assert says(status.model_copy(update={"lifted_at": now})) == ("False", "Lifted")


def test_an_answer_that_is_not_what_was_asked_is_a_failure(now: datetime) -> None:
    assert findings.confirmed(answer("Lifted", now), "Restricted", now).failed
    good = findings.confirmed(answer("Restricted", now), "Restricted", now)
    assert not good.failed
    assert good.completed_at == now
    assert good.result is not None
    assert good.result.digest == (findings.limited(answer("Restricted", now)).result or good.result).digest


def test_the_digest_tells_answers_apart(now: datetime) -> None:
    answers = [answer("Restricted", now), answer("Lifted", now, lifted_at=now + timedelta(days=1))]
    digests = {found.result.digest for each in answers if (found := findings.limited(each)).result is not None}
    assert len(digests) == 2


@pytest.mark.parametrize("right", [pytest.param(right, id=right.value) for right in RequestType])
def test_every_right_shows_its_plan_and_none_but_three_is_carried_out(
    make_request: Make, observed: Observed, now: datetime, right: RequestType
) -> None:
    request = make_request(spec={"type": right.value})
    status = progress.begun(request, now)
    assert [found.name for found in status.steps] == list(steps_of(request))
    assert {found.state for found in status.steps} == {StepState.PENDING}
    decision = plan(request.model_copy(update={"status": status}), observed, now)
    assert isinstance(decision, Run) is (right in EXECUTED)
    if isinstance(decision, Wait):
        assert decision.reason == "NotYetExecutable"
