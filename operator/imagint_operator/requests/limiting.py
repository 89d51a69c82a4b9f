"""Pure: what a restriction (GDPR 18), an objection (GDPR 21) or the lifting of either needs next.

They destroy nothing, so they need no key, no turn and no hold check. Each stands until a later request lifts it by
name: deleting a request lifts nothing, because nobody would have told the person (GDPR 18(3)).
"""

from __future__ import annotations

from imagint_operator.api.requests import DataSubjectRequest, StepName
from imagint_operator.conditions import holds
from imagint_operator.decisions import Rest, Wait
from imagint_operator.requests.observations import Observed
from imagint_operator.requests.steps import Decision, Operation, Run, unfinished
from imagint_operator.turns import COMPLETE

NOTHING_TO_LIFT = "NothingToLift"
_OPERATIONS = {
    StepName.APPLY: Operation.APPLY,
    StepName.LIFT: Operation.LIFT,
    StepName.CONFIRM: Operation.CONFIRM,
}


def plan_limit(request: DataSubjectRequest, observed: Observed) -> Decision:
    """What comes next."""
    if request.spec.lift is not None and (problem := _not_liftable(request, observed.lifted)):
        return Wait(NOTHING_TO_LIFT, problem)
    name = unfinished(request)
    return Rest() if name is None else Run(name, _OPERATIONS[name])


def _not_liftable(request: DataSubjectRequest, lifted: DataSubjectRequest | None) -> str:
    """Why the named request cannot be lifted by this one; empty when it can."""
    name = request.spec.lift.request if request.spec.lift else ""
    if lifted is None:
        return f"there is no request {name} in this namespace"
    if (lifted.spec.type, lifted.spec.subject) != (request.spec.type, request.spec.subject):
        return f"request {name} is of another type or about another subject"
    if lifted.spec.lift is not None:
        return f"request {name} itself lifts another"
    return "" if holds(lifted.status.conditions, COMPLETE) else f"request {name} is not Complete yet"
