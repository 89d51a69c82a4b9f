"""observe → judge → draft → status for one BreachIncident at a time; looks again when its clock says something else."""

from __future__ import annotations

from datetime import datetime

from imagint_operator import names
from imagint_operator.api.breaches import BreachIncident, ReportRef
from imagint_operator.breaches import report
from imagint_operator.breaches.status import judged, seconds_to_next
from imagint_operator.conditions import turned
from imagint_operator.errors import KubeConflictError, OperatorError
from imagint_operator.kube import statuses
from imagint_operator.kube.client import KubeClient
from imagint_operator.kube.events import Recorder
from imagint_operator.kube.readers import Reader
from imagint_operator.kube.resources import BREACH_INCIDENTS, CONFIG_MAPS, ObjectKey
from imagint_operator.telemetry import looks
from imagint_operator.world import World

SILENT = frozenset({"NotRequired", "NotYetExecutable"})


class BreachController:
    """Keeps the clock of every incident, and a draft of its report."""

    def __init__(self, client: KubeClient, reader: Reader, recorder: Recorder, world: World) -> None:
        self._client = client
        self._reader = reader
        self._recorder = recorder
        self._world = world

    async def reconcile(self, key: ObjectKey) -> float | None:
        """Look at one incident; answers after how many seconds its clock says something else."""
        incident = await self._reader.one(BreachIncident, key.name)
        if incident is None or incident.metadata.deletion_timestamp is not None:
            return None
        looks.about(incident)
        now, draft = self._world.clock(), report.reference(incident)
        try:
            if incident.status.report != draft:
                await self._store(incident, draft)
        except OperatorError:
            await self._tell(incident, incident.status.report, now)  # the clock is told whatever becomes of the draft
            raise
        await self._tell(incident, draft, now)
        seconds = seconds_to_next(incident, now)  # as the clock stands; one that is set anew is noticed at rest
        return None if seconds is None else min(seconds, self._world.rest(BREACH_INCIDENTS.kind))

    async def _tell(self, incident: BreachIncident, draft: ReportRef | None, now: datetime) -> None:
        after = judged(incident, draft, now)
        await statuses.write(self._client, BREACH_INCIDENTS, incident, incident.status, after)
        for condition in turned(incident.status.conditions, after.conditions):
            if condition.reason not in SILENT:
                await self._recorder.record(incident, condition, action="Watch")

    async def _store(self, incident: BreachIncident, draft: ReportRef) -> None:
        """Create the draft unless it is there.

        Raises:
            KubeConflictError: somebody else's ConfigMap has its name.
        """
        found = await self._client.get(CONFIG_MAPS, draft.config_map, names.PLATFORM_NAMESPACE)
        if found is None:
            found = await self._client.create(CONFIG_MAPS, report.config_map(incident, draft))
        if not report.belongs(found, incident):
            raise KubeConflictError(f"ConfigMap {draft.config_map} exists and is not this incident's draft", after=5)
