"""Carries out a plan for a model: wakes Serve's writer, has the Gateway make a tiny picture or try a candidate."""

from __future__ import annotations

import logging

from imagint_operator.api.models import ProbeStatus
from imagint_operator.dataplane.gateways import Gateways
from imagint_operator.errors import OperatorError
from imagint_operator.models.observations import Tried
from imagint_operator.models.plan import Action, AskWriter, Probe, Probed, Try
from imagint_operator.serve.views import SERVE
from imagint_operator.world import World

_log = logging.getLogger(__name__)


async def execute(gateways: Gateways, world: World, actions: tuple[Action, ...]) -> Probed:
    """Do what the plan says; a failed probe is an answer, not an error."""
    probed = Probed()
    for action in actions:
        if isinstance(action, AskWriter):
            world.wake(SERVE)
        elif isinstance(action, Probe):
            probed = await _probe(gateways, world, action)
        elif isinstance(action, Try):
            probed = await _try(gateways, world, action)
    return probed


async def _probe(gateways: Gateways, world: World, action: Probe) -> Probed:
    try:
        answer = await gateways.probe_model(action.tenant, action.model)
    except OperatorError as error:
        return Probed(problem=error)
    if not answer.ok:
        return Probed(problem=OperatorError("the model answered without a picture"))
    return Probed(passed=_passed(world, action.digest, answer.seconds))


async def _try(gateways: Gateways, world: World, action: Try) -> Probed:
    """Only what the revision itself did counts as an attempt, never a Gateway that cannot be reached."""
    try:
        answer = await gateways.try_revision(action.tenant, action.model, action.body)
    except OperatorError as error:
        _log.info("%s of %s: not tried: %s", action.model, action.tenant, error)
        return Probed()
    if not answer.ok or not answer.pictures:
        return Probed(tried=Tried(ok=False))
    tried = Tried(ok=True, score=min(100, 100 * answer.right // answer.pictures), hashes=answer.hashes)
    return Probed(passed=_passed(world, action.digest, answer.seconds), tried=tried)


def _passed(world: World, digest: str, seconds: float) -> ProbeStatus:
    return ProbeStatus(config_digest=digest, at=world.clock(), milliseconds=round(seconds * 1000))
