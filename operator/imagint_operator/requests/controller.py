"""observe → plan → execute → status, operation after operation, for one DataSubjectRequest at a time.

Writes the status before each operation and after the last, so that whoever comes next knows where it stood.
"""

from __future__ import annotations

import dataclasses

from imagint_operator import names
from imagint_operator.api.requests import DataSubjectRequest, StepName, StepState
from imagint_operator.conditions import Verdict, no, turned
from imagint_operator.errors import OperatorError, RetryableError
from imagint_operator.kube import statuses
from imagint_operator.kube.events import Recorder
from imagint_operator.kube.resources import DATA_SUBJECT_REQUESTS, TENANTS, ObjectKey
from imagint_operator.requests import progress
from imagint_operator.requests.execute import KEY_OPERATIONS, Erasure, Peers, execute
from imagint_operator.requests.observations import Observed
from imagint_operator.requests.observe import observe
from imagint_operator.requests.plan import Decision, Operation, Rest, Run, Wait, plan, step, without_looking
from imagint_operator.turns import COMPLETE, NOT_YET_RECEIVED, QUEUED, QUEUED_SECONDS
from imagint_operator.world import World

FAILED_SECONDS = 10.0
SILENT = frozenset({progress.IN_PROGRESS, "NotYet"})
FAILURES = {
    StepName.HOLD_CHECK: "HoldCheckFailed",
    StepName.PROBE_BEFORE: "ProbeFailed",
    StepName.COPY: "CopyFailed",
    StepName.PURGE: "PurgeIncomplete",
    StepName.PROBE_AFTER: "ProbeFailed",
}


class StepFailedError(RetryableError):
    """A step looked at the world and did not find what it must."""

    def __init__(self, name: StepName) -> None:
        super().__init__(f"step {name} failed: its checks in status.steps say why", after=FAILED_SECONDS)
        self.reason = FAILURES.get(name, "StepFailed")


class Draft:
    """A request as stored, and the status that is being written for it."""

    def __init__(self, stored: DataSubjectRequest) -> None:
        self._stored = stored
        self.status = progress.begun(stored)

    @property
    def request(self) -> DataSubjectRequest:
        """The request with the drafted status."""
        return self._stored.model_copy(update={"status": self.status})

    async def save(self, peers: Peers, recorder: Recorder, verdict: Verdict) -> None:
        """Write the draft with this verdict on top, and tell people what turned."""
        after = progress.judged(self._stored, self.status, verdict, peers.clock())
        before = self._stored.status
        version = await statuses.write(peers.client, DATA_SUBJECT_REQUESTS, self._stored, before, after)
        self._stored = statuses.at_version(self._stored, version)
        self.status = after
        self._stored = self.request
        for condition in turned(before.conditions, after.conditions):
            if condition.reason not in SILENT:
                await recorder.record(self._stored, condition, action="Erase")


class RequestController:
    """Carries out one request after the other; of each tenant, one at a time."""

    def __init__(self, peers: Peers, recorder: Recorder, world: World) -> None:
        self._peers = peers
        self._recorder = recorder
        self._world = world

    async def reconcile(self, key: ObjectKey) -> float | None:
        """Go as far as possible with one request; answers after how many seconds to look again."""
        known = await self._peers.reader.one(DataSubjectRequest, key.name, key.namespace)
        if known is not None and known.metadata.deletion_timestamp is None:
            decided = without_looking(known, self._world.clock())
            if isinstance(decided, Rest):
                return None
            if isinstance(decided, Wait):
                pause = await self._stop(Draft(known), decided, Observed())
                return pause if decided.reason == NOT_YET_RECEIVED else self._world.rest(DATA_SUBJECT_REQUESTS.kind)
        # What is about to be carried out is read from the apiserver: a step that was recorded is not done again.
        request = await self._peers.reader.fresh(DataSubjectRequest, key.name, key.namespace)
        if request is None or request.metadata.deletion_timestamp is not None:
            return None
        holder = self._world.turns.take(key.namespace, request.metadata.uid)
        try:
            return await self._advance(request, holder)
        finally:
            self._world.turns.release(key.namespace, request.metadata.uid)

    async def _advance(self, request: DataSubjectRequest, holder: str) -> float | None:
        decided = without_looking(request, self._world.clock())
        if isinstance(decided, Rest):
            return None
        draft = Draft(request)
        if decided is not None:
            return await self._stop(draft, decided, Observed())
        try:
            return await self._run(draft, holder)
        except OperatorError as error:
            await draft.save(self._peers, self._recorder, no(COMPLETE, error.reason, str(error)))
            raise

    async def _run(self, draft: Draft, holder: str) -> float | None:
        observed = await observe(self._peers.reader, self._peers.keys, draft.request, holder)
        while True:
            decision = plan(draft.request, observed, self._world.clock())
            if not isinstance(decision, Run):
                return await self._stop(draft, decision, observed)
            observed, pause = await self._operate(draft, observed, decision)
            if pause is not None:
                return pause

    async def _operate(self, draft: Draft, observed: Observed, run: Run) -> tuple[Observed, float | None]:
        """Record that an operation begins, do it, and take up what it found: the next record says so."""
        draft.status = progress.running(draft.status, run.step, self._world.clock())
        await draft.save(self._peers, self._recorder, progress.in_progress(draft.status))
        finding = await execute(self._peers, Erasure(draft.request, observed), run.operation)
        draft.status = progress.advanced(draft.status, run.step, finding, self._world.clock())
        if finding.failed:
            raise StepFailedError(run.step)
        if run.operation is Operation.CONFIRM_TRIM:  # the Tenant records what is destroyed, to see that it stays so
            self._world.wake(ObjectKey(TENANTS.kind, "", names.tenant_of(draft.request.metadata.namespace or "")))
        if run.operation in KEY_OPERATIONS:
            key = await self._peers.keys.state(draft.request.metadata.namespace or "")
            observed = dataclasses.replace(observed, key=key)
        if step(draft.status, StepName.CERTIFICATE).state is StepState.DONE:
            await draft.save(self._peers, self._recorder, progress.complete(draft.status))
        return observed, finding.waiting

    async def _stop(self, draft: Draft, decision: Decision, observed: Observed) -> float | None:
        if isinstance(decision, Wait):
            await draft.save(self._peers, self._recorder, no(COMPLETE, decision.reason, decision.message))
            return QUEUED_SECONDS if decision.reason == QUEUED else self._world.resync
        namespace = draft.request.metadata.namespace or ""
        for other in observed.others:
            self._world.wake(ObjectKey(DATA_SUBJECT_REQUESTS.kind, namespace, other.name))
        return None
