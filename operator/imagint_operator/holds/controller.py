"""observe → judge → status for one LegalHold at a time, and a word to the erasures and the retention that it is about.

A hold that is gone is told about too: whoever waited for it looks again within seconds.
"""

from __future__ import annotations

from imagint_operator import names
from imagint_operator.api.holds import LegalHold
from imagint_operator.api.requests import DataSubjectRequest, RequestType
from imagint_operator.conditions import holds, turned
from imagint_operator.holds.status import judged, seconds_to_next
from imagint_operator.kube import statuses
from imagint_operator.kube.client import KubeClient
from imagint_operator.kube.events import Recorder
from imagint_operator.kube.readers import Reader
from imagint_operator.kube.resources import DATA_SUBJECT_REQUESTS, LEGAL_HOLDS, ObjectKey
from imagint_operator.telemetry import looks
from imagint_operator.turns import COMPLETE, retention_of
from imagint_operator.world import World

LOUD = frozenset({"Active", "Expired", "Lifted", "ReviewOverdue", "AlreadyCommitted"})


class HoldController:
    """Keeps the status of every hold, and wakes what depends on it."""

    def __init__(self, client: KubeClient, reader: Reader, recorder: Recorder, world: World) -> None:
        self._client = client
        self._reader = reader
        self._recorder = recorder
        self._world = world

    async def reconcile(self, key: ObjectKey) -> float | None:
        """Look at one hold; answers after how many seconds the clock changes it."""
        hold = await self._reader.one(LegalHold, key.name, key.namespace)
        requests = await self._reader.all(DataSubjectRequest, key.namespace)
        if hold is None:
            self._wake(key.namespace, requests)
            return None
        looks.about(hold)
        now = self._world.clock()
        after = judged(hold, requests, now)
        news = turned(hold.status.conditions, after.conditions)
        if news or after.observed_generation != hold.status.observed_generation:
            self._wake(key.namespace, requests)
        await statuses.write(self._client, LEGAL_HOLDS, hold, hold.status, after)
        for condition in news:
            if condition.reason in LOUD:
                await self._recorder.record(hold, condition, action="Hold")
        seconds = seconds_to_next(hold, now)  # as the clock stands; one that is set anew is noticed at rest
        return None if seconds is None else min(seconds, self._world.rest(LEGAL_HOLDS.kind))

    def _wake(self, namespace: str, requests: list[DataSubjectRequest]) -> None:
        for request in requests:
            if request.spec.type is RequestType.ERASE and not holds(request.status.conditions, COMPLETE):
                self._world.wake(ObjectKey(DATA_SUBJECT_REQUESTS.kind, namespace, request.name))
        if tenant := names.tenant_of(namespace):
            self._world.wake(retention_of(tenant))
