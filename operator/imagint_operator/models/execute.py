"""Carries out a plan for a model: wakes Serve's writer, or has the Gateway make a tiny picture."""

from __future__ import annotations

from imagint_operator.api.models import ProbeStatus
from imagint_operator.dataplane.gateways import Gateways
from imagint_operator.errors import OperatorError
from imagint_operator.models.plan import Action, AskWriter, Probe, Probed
from imagint_operator.serve.views import SERVE
from imagint_operator.world import World


async def execute(gateways: Gateways, world: World, actions: tuple[Action, ...]) -> Probed:
    """Do what the plan says; a failed probe is an answer, not an error."""
    probed = Probed()
    for action in actions:
        if isinstance(action, AskWriter):
            world.wake(SERVE)
        elif isinstance(action, Probe):
            probed = await _probe(gateways, world, action)
    return probed


async def _probe(gateways: Gateways, world: World, action: Probe) -> Probed:
    try:
        answer = await gateways.probe_model(action.tenant, action.model)
    except OperatorError as error:
        return Probed(problem=error)
    if not answer.ok:
        return Probed(problem=OperatorError("the model answered without a picture"))
    milliseconds = round(answer.seconds * 1000)
    return Probed(passed=ProbeStatus(config_digest=action.digest, at=world.clock(), milliseconds=milliseconds))
