"""Pure: what a request needs next, or why it waits: each right by its own plan, over the same recorded steps."""

from __future__ import annotations

from datetime import datetime, timedelta

from imagint_operator.api.requests import DataSubjectRequest, RequestType
from imagint_operator.conditions import holds
from imagint_operator.decisions import Rest, Wait
from imagint_operator.requests.erasing import plan_erasure
from imagint_operator.requests.limiting import plan_limit
from imagint_operator.requests.observations import Observed, received_at
from imagint_operator.requests.steps import Decision
from imagint_operator.turns import COMPLETE, NOT_YET_RECEIVED

CLOCK_SKEW = timedelta(seconds=60)
NOT_YET_EXECUTABLE = "NotYetExecutable"
_PLANS = {RequestType.ERASE: plan_erasure, RequestType.RESTRICT: plan_limit, RequestType.OBJECT: plan_limit}


def plan(request: DataSubjectRequest, observed: Observed, now: datetime) -> Decision:
    """What comes next."""
    if decided := without_looking(request, now):
        return decided
    if observed.tenant is None:
        return Wait("TenantMissing", "this namespace belongs to no Tenant")
    return _PLANS[request.spec.type](request, observed)


def without_looking(request: DataSubjectRequest, now: datetime) -> Rest | Wait | None:
    """What can be said from the request alone, whatever the state of Vault and the data plane."""
    if holds(request.status.conditions, COMPLETE):
        return Rest()
    if request.spec.type not in _PLANS:
        return Wait(NOT_YET_EXECUTABLE, f"{request.spec.type}: recorded, and its clock runs; not carried out yet")
    if received_at(request) > now + CLOCK_SKEW:
        return Wait(NOT_YET_RECEIVED, "receivedAt lies in the future: a certificate could not say so truthfully")
    return None
