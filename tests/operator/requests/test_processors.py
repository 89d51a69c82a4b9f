"""Who waits for processors holds up nobody, and the certificate says of each no more than it showed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from imagint_operator.api.requests import (
    DataSubjectRequest,
    Evidence,
    KeyVersions,
    ProcessorProgress,
    ProcessorState,
    Step,
    StepName,
    StepResult,
    StepState,
)
from imagint_operator.api.tenants import Tenant
from imagint_operator.decisions import Wait
from imagint_operator.requests import certificates, findings, progress
from imagint_operator.requests.observations import Observed, Turn
from imagint_operator.requests.plan import plan
from imagint_operator.requests.progress import Finding
from imagint_operator.requests.steps import Operation, Run
from imagint_operator.turns import QUEUED, before_retention, in_line
from imagint_privacy.keys.ports import KeyState

Make = Callable[..., DataSubjectRequest]
KEY = KeyState("tenant-acme", 2, 2, 2, 2, exportable=False, allow_plaintext_backup=False, deletion_allowed=False)


def entry(name: str, state: ProcessorState, by: datetime) -> ProcessorProgress:
    return ProcessorProgress(name=name, protocol="Webhook", state=state, by=by)


def at(request: DataSubjectRequest, name: StepName, state: StepState = StepState.RUNNING) -> DataSubjectRequest:
    """The request with every step before this one done."""
    order = list(StepName)
    states = dict.fromkeys(order[: order.index(name)], StepState.DONE) | {name: state}
    steps = tuple(Step(name=step, state=states.get(step, StepState.PENDING)) for step in order)
    versions = KeyVersions(from_=1, to=2)
    return request.model_copy(
        update={"status": request.status.model_copy(update={"steps": steps, "key_versions": versions})}
    )


@pytest.fixture
def observed(make_tenant: Callable[..., Tenant]) -> Observed:
    return Observed(make_tenant(), KEY, upsert_disabled=True)


def test_one_that_waits_for_processors_lets_others_and_retention_by(make_request: Make) -> None:
    waiting = at(make_request(), StepName.PROCESSORS)
    assert not in_line(waiting)
    assert not before_retention(waiting)


@pytest.mark.parametrize("name", [name for name in StepName if name is not StepName.PROCESSORS])
def test_at_every_other_step_it_wants_the_tenant_to_itself(make_request: Make, name: StepName) -> None:
    assert in_line(at(make_request(), name))


def test_it_asks_its_processors_while_another_is_at_work(make_request: Make, observed: Observed, now: datetime) -> None:
    first = Turn(False, now - timedelta(days=1), "first")
    crowded = replace(observed, busy="another", others=(first,))
    assert plan(at(make_request(), StepName.PROCESSORS), crowded, now) == Run(
        StepName.PROCESSORS, Operation.TELL_PROCESSORS
    )
    waits = plan(at(make_request(), StepName.CERTIFICATE), crowded, now)
    assert isinstance(waits, Wait)
    assert waits.reason == QUEUED


@pytest.mark.parametrize(
    ("states", "waiting", "finished", "pause"),
    [
        pytest.param([], None, True, None, id="nobody to tell"),
        pytest.param([ProcessorState.TOLD], 4.0, False, 4.0, id="one has not answered"),
        pytest.param([ProcessorState.COMPLETED, ProcessorState.OVERDUE], None, True, 0.0, id="all are done or late"),
    ],
)
def test_the_step_ends_with_the_last_of_them(
    now: datetime, states: Any, waiting: Any, finished: bool, pause: float | None
) -> None:
    found = findings.told(tuple(entry(f"p{n}", state, now) for n, state in enumerate(states)), waiting)
    assert (found.finished, found.waiting, found.failed) == (finished, pause, False)


def test_the_request_says_whom_it_waits_for(make_request: Make, now: datetime) -> None:
    waiting = at(make_request(), StepName.PROCESSORS)
    entries = (entry("desk", ProcessorState.TOLD, now), entry("mail", ProcessorState.COMPLETED, now))
    status = progress.advanced(waiting.status, StepName.PROCESSORS, Finding(finished=False, processors=entries), now)
    assert "waiting for desk, until 2026-11-23" in progress.in_progress(status).message
    assert "mail" not in progress.in_progress(status).message


def nothing_held(request: DataSubjectRequest, now: datetime, *entries: ProcessorProgress) -> str:
    """The statement of a request with these processors."""
    status = progress.begun(request, now)
    no_holds = Finding(result=StepResult(active_holds=0, observed_at=now))
    status = progress.advanced(status, StepName.HOLD_CHECK, no_holds, now)
    status = progress.advanced(status, StepName.FENCE, Finding(nothing_held=True, result=None), now)
    fence = status.steps[1].model_copy(update={"result": StepResult()})
    prepared = Evidence(salt="0" * 64, policy_version="2.0.0")
    status = status.model_copy(
        update={
            "steps": (status.steps[0], fence, *status.steps[2:]),
            "processors": entries,
            "evidence": prepared,
            "completed_at": now,
        }
    )
    issuer = certificates.Issuer("0.1.0", None, "2024-08-02", timedelta(days=30))
    return certificates.statement(request, status, issuer).decode()


UID = "11111111-2222-3333-4444-555555555555"


@pytest.mark.parametrize(
    ("state", "result", "sentence"),
    [
        (ProcessorState.COMPLETED, "Acknowledged", ""),
        (ProcessorState.REFUSED, "Unanswered", "told to erase and refused"),
        (ProcessorState.OVERDUE, "Unanswered", "did not confirm an erasure"),
        (ProcessorState.BY_HAND, "Unanswered", "told by a person"),
        (ProcessorState.EXEMPT, "", "not told, for a reason"),
    ],
)
def test_the_certificate_says_no_more_than_was_shown(
    make_request: Make, now: datetime, state: ProcessorState, result: str, sentence: str
) -> None:
    text = nothing_held(make_request(uid=UID), now, entry("desk", state, now))
    assert (f'"name":"desk","result":"{result}"' in text) is bool(result)
    assert (("desk. " in text) and sentence in text) is bool(sentence)


def test_the_certificate_names_the_edition_that_was_recorded(make_request: Make, now: datetime) -> None:
    assert '"policyVersion":"2.0.0"' in nothing_held(make_request(uid=UID), now)


def test_very_many_processors_still_fit_into_a_certificate(make_request: Make, now: datetime) -> None:
    states = [ProcessorState.REFUSED, ProcessorState.OVERDUE, ProcessorState.BY_HAND, ProcessorState.EXEMPT]
    entries = [entry(f"p{number:03}-" + "x" * 58, states[number % 4], now) for number in range(256)]
    assert "and 60 more" in nothing_held(make_request(uid=UID), now, *entries)
