"""For every kind: what was planned, once it is carried out, is not planned again, over plain data of any shape."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from imagint_operator.api.base import ConditionStatus
from imagint_operator.api.requests import RequestType, StepState
from imagint_operator.api.tenants import Tenant
from imagint_operator.breaches import report
from imagint_operator.breaches import status as breaches
from imagint_operator.decisions import Rest
from imagint_operator.holds import status as holds
from imagint_operator.kube.resources import NAMESPACES
from imagint_operator.processors import plan as processors
from imagint_operator.requests import plan as requests
from imagint_operator.requests import progress as requests_progress
from imagint_operator.requests.observations import Observed as SeenByRequest
from imagint_operator.retention import plan as retention
from imagint_operator.retention import progress as retention_progress
from imagint_operator.retention.plan import Operation, Run
from imagint_operator.tenants import plan as tenants
from imagint_operator.tenants import walls
from imagint_operator.tenants.observations import GatewayView, KeyView, Observed
from imagint_privacy.keys.ports import KeyState

Make = Callable[..., Any]
HOUR = timedelta(hours=1)
OFFSET = st.integers(-2000, 2000)
ANY_DATA = hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
KEY = KeyState("tenant-acme", 1, 1, 0, 0, exportable=False, allow_plaintext_backup=False, deletion_allowed=False)
RULES = st.lists(
    st.tuples(st.sampled_from(["images", "prompts"]), st.integers(1, 400)), max_size=2, unique_by=lambda r: r[0]
)


def moment(now: datetime, hours: int) -> str:
    return (now + HOUR * hours).isoformat()


class TestTenants:
    """Whatever of its walls is missing or bent."""

    @ANY_DATA
    @given(
        suspended=st.booleans(), quota=st.integers(1, 50), rules=RULES, missing=st.sets(st.integers(0, 30)),
        bent=st.sets(st.integers(0, 30)), found=st.booleans(), finalizer=st.booleans(), key=st.booleans(),
    )  # fmt: skip
    def test_walls_that_are_built_are_not_built_again(
        self, make_tenant: Make, now: datetime, *, suspended: bool, quota: int, rules: list[tuple[str, int]],
        missing: set[int], bent: set[int], found: bool, finalizer: bool, key: bool,
    ) -> None:  # fmt: skip
        spec: dict[str, Any] = {
            "state": "Suspended" if suspended else "Active",
            "retention": [{"category": name, "keepDays": days} for name, days in rules],
            "quotas": {"gpuCount": quota},
        }
        tenant = make_tenant(spec=spec, finalizers=["imagint.ai/tenant"] if finalizer else [])
        contents = {
            each: manifest if index not in bent else {**manifest, "spec": {"bent": "by hand"}}
            for index, (each, manifest) in enumerate(walls.contents(tenant).items())
            if index not in missing
        }
        outer = walls.namespace(tenant)
        outer = {**outer, "metadata": {**outer["metadata"], "uid": "ns-uid"}}
        observed = Observed(outer if found else None, contents, KeyView(KEY if key else None), GatewayView())
        observed, tenant = built(observed, tenants.plan(tenant, observed, now), tenant)
        assert tenants.plan(tenant, observed, now) == ()


def built(observed: Observed, actions: tuple[tenants.Action, ...], tenant: Tenant) -> tuple[Observed, Tenant]:
    """The world after a plan."""
    for action in actions:
        match action:
            case tenants.AddFinalizer():
                metadata = tenant.metadata.model_copy(update={"finalizers": ("imagint.ai/tenant",)})
                tenant = tenant.model_copy(update={"metadata": metadata})
            case tenants.Apply(key, manifest) if key.kind == NAMESPACES.kind:
                observed = replace(
                    observed, namespace={**manifest, "metadata": {**manifest["metadata"], "uid": "ns-uid"}}
                )
            case tenants.Apply(key, manifest):
                observed = replace(observed, contents={**observed.contents, key: manifest})
            case tenants.EnsureKey(name):
                observed = replace(observed, key=KeyView(replace(KEY, name=name)))
            case _:
                pytest.fail(f"{type(action).__name__} is nothing that a tenant without a history needs")
    return observed, tenant


class TestRetention:
    """Whatever the rules, the schedule and the moment recorded for the next run."""

    @ANY_DATA
    @given(rules=RULES, every=st.integers(1, 200), recorded=st.none() | OFFSET)
    def test_a_schedule_that_is_written_is_not_written_again(
        self, make_tenant: Make, now: datetime, rules: list[tuple[str, int]], every: int, recorded: int | None
    ) -> None:
        status = {"retention": {"nextAt": moment(now, recorded)}} if recorded is not None else {}
        spec = {
            "retention": [{"category": name, "keepDays": days} for name, days in rules],
            "retentionSchedule": {"everyHours": every},
        }
        tenant = make_tenant(spec=spec, status=status)
        if retention.without_looking(tenant, now) == Run(Operation.SCHEDULE):
            update = {"retention": retention_progress.scheduled(tenant, now)}
            tenant = tenant.model_copy(update={"status": tenant.status.model_copy(update=update)})
            assert isinstance(retention.without_looking(tenant, now), Rest)

    @ANY_DATA
    @given(every=st.integers(1, 200), late=st.integers(0, 4000), back=st.integers(0, 4000))
    def test_a_run_that_began_is_not_begun_again_wherever_the_clock_goes(
        self, make_tenant: Make, now: datetime, every: int, late: int, back: int
    ) -> None:
        """Ended, and looked at again at the same moment, or earlier because the clock was put back."""
        spec = {
            "retention": [{"category": "images", "keepDays": 1}],
            "retentionSchedule": {"everyHours": every},
        }
        tenant = make_tenant(spec=spec, status={"retention": {"nextAt": now.isoformat()}})
        moment_of_run = now + HOUR * late
        started = retention_progress.started(tenant, moment_of_run)
        ended = retention_progress.ended(started)
        tenant = tenant.model_copy(update={"status": tenant.status.model_copy(update={"retention": ended})})
        decided = retention.without_looking(tenant, moment_of_run - HOUR * back)
        assert decided is not None
        assert decided == Run(Operation.SCHEDULE) or isinstance(decided, Rest)


class TestRecords:
    """Kinds whose whole plan is their status."""

    @ANY_DATA
    @given(begins=OFFSET, until=st.none() | OFFSET, lifted=st.none() | OFFSET, review=OFFSET, person=st.booleans())
    def test_a_hold(
        self, make_hold: Make, make_request: Make, now: datetime, *, begins: int, until: int | None,
        lifted: int | None, review: int, person: bool,
    ) -> None:  # fmt: skip
        said = {"from": begins, "until": until, "liftedAt": lifted, "reviewBy": review}
        spec = {field: moment(now, hours) for field, hours in said.items() if hours is not None}
        hold = make_hold(subject="subj-" + "a" * 26 if person else "", **spec)
        others = (make_request(), make_request("bob", spec={"subject": "subj-" + "b" * 26}))
        written = holds.judged(hold, others, now)
        assert holds.judged(hold.model_copy(update={"status": written}), others, now) == written

    @ANY_DATA
    @given(
        risk=st.sampled_from(["Unlikely", "Risk", "HighRisk"]), look=st.integers(-10, 2000),
        authority=st.none() | st.integers(0, 300), subjects=st.none() | st.integers(0, 300),
    )  # fmt: skip
    def test_a_breach(
        self, make_breach: Make, now: datetime, risk: str, look: int, authority: int | None, subjects: int | None
    ) -> None:
        spec: dict[str, Any] = {"risk": risk}
        if authority is not None:
            spec["authorityNotice"] = {
                "at": moment(now, authority), "reference": "file 7", "delayReason": "Investigation",
            }  # fmt: skip
        if subjects is not None:
            spec["subjectNotice"] = {"at": moment(now, subjects)}
        incident, at = make_breach(**spec), now + HOUR * look
        written = breaches.judged(incident, report.reference(incident), at)
        stored = incident.model_copy(update={"status": written})
        assert report.reference(stored) == report.reference(incident)
        assert breaches.judged(stored, report.reference(stored), at) == written

    @ANY_DATA
    @given(
        protocol=st.sampled_from(["Webhook", "OpenDSR", "Manual", "None"]),
        key=st.none() | st.text(st.characters(codec="ascii"), min_size=64, max_size=200),
        look=OFFSET,
    )
    def test_a_processor(self, make_processor: Make, now: datetime, protocol: str, key: str | None, look: int) -> None:
        processor, at = make_processor(protocol=protocol, **({"publicKey": key} if key else {})), now + HOUR * look
        written = processors.status(processor, at)
        stored = processor.model_copy(update={"status": written})
        assert processors.status(stored, at + HOUR) == written


class TestRequests:
    """Whatever is seen, and whenever: done is done."""

    @ANY_DATA
    @given(
        kind=st.sampled_from(RequestType), look=OFFSET, latest=st.integers(1, 9), lowest=st.integers(0, 9),
        tenant=st.booleans(), done=st.sets(st.integers(0, 20)),
    )  # fmt: skip
    def test_a_complete_request_plans_nothing(
        self, make_request: Make, make_tenant: Make, now: datetime, *, kind: RequestType, look: int, latest: int,
        lowest: int, tenant: bool, done: set[int],
    ) -> None:  # fmt: skip
        request = make_request(spec={"type": kind.value})
        begun = requests_progress.begun(request, now)
        steps = tuple(
            step.model_copy(update={"state": StepState.DONE if index in done else StepState.RUNNING})
            for index, step in enumerate(begun.steps)
        )
        begun = begun.model_copy(update={"steps": steps})
        status = requests_progress.judged(request, begun, requests_progress.complete(request), now)
        stored = request.model_copy(update={"status": status})
        key = replace(KEY, latest_version=latest, min_available_version=lowest)
        observed = SeenByRequest(tenant=make_tenant() if tenant else None, key=key)
        assert requests.plan(stored, observed, now + HOUR * look) == Rest()
        assert any(each.status is ConditionStatus.TRUE for each in status.conditions if each.type == "Complete")
