"""observe → plan → execute → status, for one ModelDeployment at a time."""

from __future__ import annotations

from imagint_operator.api.models import ModelDeployment
from imagint_operator.conditions import find, holds, turned
from imagint_operator.dataplane.gateways import Gateways
from imagint_operator.kube import statuses
from imagint_operator.kube.client import KubeClient
from imagint_operator.kube.events import Recorder, on_its_way
from imagint_operator.kube.readers import Reader
from imagint_operator.kube.resources import MODEL_DEPLOYMENTS, ObjectKey
from imagint_operator.models.execute import execute
from imagint_operator.models.observe import observe
from imagint_operator.models.plan import ANSWERING, plan
from imagint_operator.models.status import READY, ROLLED_OUT, status
from imagint_operator.serve.views import SERVE
from imagint_operator.telemetry import looks
from imagint_operator.world import World
from imagint_privacy.tracing import span

UNREADY_SECONDS = 5.0
PROBE_AGAIN_SECONDS = 0.5
CROWD = 50  # so many times as often as at rest, at most: thousands that start together must not starve each other


class ModelController:
    """Keeps one ModelDeployment true."""

    def __init__(
        self, client: KubeClient, reader: Reader, gateways: Gateways, recorder: Recorder, world: World
    ) -> None:
        self._client = client
        self._reader = reader
        self._gateways = gateways
        self._recorder = recorder
        self._world = world

    async def reconcile(self, key: ObjectKey) -> float | None:
        """Look at one model; answers after how many seconds to look again."""
        model = await self._reader.one(ModelDeployment, key.name, key.namespace)
        if model is None:
            self._world.wake(SERVE)
            return None
        looks.about(model)
        with span("observe", {}):
            observed = await observe(self._reader, model, self._world.view)
        if not observed.seen:  # an operator that has just begun: whoever looks at Serve tells when it has looked
            return UNREADY_SECONDS
        probed = await execute(self._gateways, self._world, plan(model, observed, self._world.clock()))
        after = status(model, observed, probed, self._world.clock())
        await statuses.write(self._client, MODEL_DEPLOYMENTS, model, model.status, after)
        if after.rollout != model.status.rollout:
            # Written first, acted on second: the writer renders from the record.
            self._world.wake(SERVE)
        for condition in turned(model.status.conditions, after.conditions):
            if condition.type in {READY, ROLLED_OUT} and not on_its_way(model.status.conditions, condition):
                await self._recorder.record(model, condition, action="Reconcile")
        if after.rollout != model.status.rollout:
            return PROBE_AGAIN_SECONDS
        if holds(after.conditions, READY) and holds(after.conditions, ROLLED_OUT) and after.rollout.retiring is None:
            return self._world.rest(MODEL_DEPLOYMENTS.kind)
        answering = find(after.conditions, ANSWERING)
        failed = answering is not None and answering.reason == "ProbeFailed"
        pause = PROBE_AGAIN_SECONDS if failed else UNREADY_SECONDS
        return max(pause, self._world.rest(MODEL_DEPLOYMENTS.kind) / CROWD)
