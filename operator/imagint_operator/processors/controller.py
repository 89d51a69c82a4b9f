"""plan → status, for one DataProcessor at a time. Calls nobody: whether it answers is seen when it is told."""

from __future__ import annotations

from imagint_operator.api.processors import DataProcessor
from imagint_operator.conditions import turned
from imagint_operator.kube import statuses
from imagint_operator.kube.client import KubeClient
from imagint_operator.kube.events import Recorder
from imagint_operator.kube.readers import Reader
from imagint_operator.kube.resources import DATA_PROCESSORS, ObjectKey
from imagint_operator.processors.plan import status
from imagint_operator.telemetry import looks
from imagint_operator.world import World


class ProcessorController:
    """Says of each recipient whether erasures can be passed on to it."""

    def __init__(self, client: KubeClient, reader: Reader, recorder: Recorder, world: World) -> None:
        self._client = client
        self._reader = reader
        self._recorder = recorder
        self._world = world

    async def reconcile(self, key: ObjectKey) -> float | None:
        """Look at one recipient."""
        processor = await self._reader.one(DataProcessor, key.name)
        if processor is None:
            return None
        looks.about(processor)
        after = status(processor, self._world.clock())
        await statuses.write(self._client, DATA_PROCESSORS, processor, processor.status, after)
        for condition in turned(processor.status.conditions, after.conditions):
            await self._recorder.record(processor, condition, action="Reconcile", prefix="Processor")
        return None
