"""observe → plan → execute → status, operation after operation, for one DataSubjectRequest at a time.

Writes the status before each operation and after the last, so that whoever comes next knows where it stood.
"""

from __future__ import annotations

import dataclasses
from datetime import datetime

from imagint_operator import names
from imagint_operator.api.holds import LegalHold
from imagint_operator.api.requests import DataSubjectRequest, RequestType, StepName
from imagint_operator.conditions import Verdict, no, turned
from imagint_operator.decisions import Rest, Wait
from imagint_operator.errors import OperatorError, RetryableError
from imagint_operator.kube import statuses
from imagint_operator.kube.events import Recorder
from imagint_operator.kube.resources import DATA_SUBJECT_REQUESTS, LEGAL_HOLDS, TENANTS, ObjectKey
from imagint_operator.requests import deadlines, progress
from imagint_operator.requests.execute import KEY_OPERATIONS, Erasure, Peers, execute, still_stands
from imagint_operator.requests.observations import Observed
from imagint_operator.requests.observe import observe
from imagint_operator.requests.plan import NOT_YET_EXECUTABLE, plan, without_looking
from imagint_operator.requests.steps import LIMITING, Decision, Operation, Run
from imagint_operator.telemetry import looks
from imagint_operator.turns import COMPLETE, QUEUED, QUEUED_SECONDS, awaiting_processors
from imagint_operator.world import World
from imagint_privacy.tracing import span

FAILED_SECONDS = 10.0
SILENT = frozenset({progress.IN_PROGRESS, "NotYet", deadlines.IN_TIME, deadlines.ANSWERED})
"""That it goes on, that its time runs and that it was answered in time: every request would tell it, none needs it."""
FAILURES = {
    StepName.HOLD_CHECK: "HoldCheckFailed",
    StepName.PROBE_BEFORE: "ProbeFailed",
    StepName.COPY: "CopyFailed",
    StepName.PURGE: "PurgeIncomplete",
    StepName.PROBE_AFTER: "ProbeFailed",
    StepName.CONFIRM: "NotConfirmed",
}


class StepFailedError(RetryableError):
    """A step looked at the world and did not find what it must."""

    def __init__(self, name: StepName) -> None:
        super().__init__(f"step {name} failed: its checks in status.steps say why", after=FAILED_SECONDS)
        self.reason = FAILURES.get(name, "StepFailed")


class Draft:
    """A request as stored, and the status that is being written for it."""

    def __init__(self, stored: DataSubjectRequest, now: datetime) -> None:
        self._stored = stored
        self.status = progress.begun(stored, now)

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
                await recorder.record(self._stored, condition, action=self._stored.spec.type.value)


class RequestController:
    """Carries out one request after the other; of each tenant, one erasure at a time."""

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
                return await self._watch_over(known)
            if isinstance(decided, Wait):
                looks.about(known)
                return await self._stop(Draft(known, self._world.clock()), decided, Observed())
        # What is about to be carried out is read from the apiserver: a step that was recorded is not done again.
        request = await self._peers.reader.fresh(DataSubjectRequest, key.name, key.namespace)
        if request is None or request.metadata.deletion_timestamp is not None:
            return None
        looks.about(request)
        if request.spec.type is not RequestType.ERASE:
            return await self._advance(request, request.metadata.uid)
        alone = not awaiting_processors(request)
        holder = self._world.turns.take(key.namespace, request.metadata.uid) if alone else ""
        try:
            return await self._advance(request, holder)
        finally:
            self._world.turns.release(key.namespace, request.metadata.uid)

    async def _advance(self, request: DataSubjectRequest, holder: str) -> float | None:
        decided = without_looking(request, self._world.clock())
        if isinstance(decided, Rest):
            return await self._watch_over(request)
        draft = Draft(request, self._world.clock())
        if decided is not None:
            return await self._stop(draft, decided, Observed())
        try:
            return await self._run(draft, holder)
        except OperatorError as error:
            await draft.save(self._peers, self._recorder, no(COMPLETE, error.reason, str(error)))
            raise

    async def _run(self, draft: Draft, holder: str) -> float | None:
        observed = await self._look(draft.request, holder)
        while True:
            decision = plan(draft.request, observed, self._world.clock())
            if not isinstance(decision, Run):
                return await self._stop(draft, decision, observed)
            observed, pause = await self._operate(draft, observed, decision)
            if pause is not None:  # a recipient may be waited for for weeks: the clock goes on meanwhile
                soonest = deadlines.seconds_to_next(draft.status, self._world.clock())
                return pause if soonest is None else min(pause, soonest)

    async def _operate(self, draft: Draft, observed: Observed, run: Run) -> tuple[Observed, float | None]:
        """Record that an operation begins, do it, and take up what it found: the next record says so."""
        draft.status = progress.running(draft.status, run.step, self._world.clock())
        await draft.save(self._peers, self._recorder, progress.in_progress(draft.status))
        if run.operation is Operation.COPY:  # the commit is recorded: a hold that came too late is told so
            await self._tell_all_holds(draft.request)
        with span(run.step.value, {"imagint.step": run.step.value, "imagint.operation": run.operation.value}) as pen:
            finding = await execute(self._peers, Erasure(draft.request, observed), run.operation)
            if finding.failed:
                pen.fail(FAILURES.get(run.step, "StepFailed"))
        draft.status = progress.advanced(draft.status, run.step, finding, self._world.clock())
        if finding.failed:
            raise StepFailedError(run.step)
        if run.operation is Operation.CONFIRM_TRIM:  # the Tenant records what is destroyed, to see that it stays so
            self._world.wake(ObjectKey(TENANTS.kind, "", names.tenant_of(draft.request.metadata.namespace or "")))
        if run.operation is Operation.CHECK_HOLDS_AGAIN:
            observed = dataclasses.replace(observed, holds=finding.holds or (), rechecked=True)
        if run.operation in KEY_OPERATIONS:
            key = await self._peers.keys.state(draft.request.metadata.namespace or "")
            observed = dataclasses.replace(observed, key=key)
        if progress.finished(draft.request):
            await draft.save(self._peers, self._recorder, progress.complete(draft.request))
            looks.conclude(draft.request, self._world.clock())
            self._tell_who_is_lifted(draft.request)
        elif finding.waiting is not None:  # nobody comes after this one who would write it down
            await draft.save(self._peers, self._recorder, progress.in_progress(draft.status))
        return observed, finding.waiting

    async def _look(self, request: DataSubjectRequest, holder: str) -> Observed:
        with span("observe", {}):
            return await observe(self._peers.reader, self._peers.keys, request, holder, self._world.clock())

    async def _watch_over(self, request: DataSubjectRequest) -> float | None:
        """See that a restriction or an objection stands where data is used, and take note when it was lifted.

        Asking is applying: a data plane that was restored from before it learns of it again, here and nowhere else.
        """
        looks.conclude(request, self._world.clock())
        limiting = request.spec.type in LIMITING and request.spec.lift is None
        if not limiting or request.status.lifted_at is not None:
            return None
        finding, stands = await still_stands(self._peers, request)
        if not stands and finding.result is not None:
            draft = Draft(request, self._world.clock())
            draft.status = draft.status.model_copy(update={"lifted_at": finding.result.observed_at})
            await draft.save(self._peers, self._recorder, progress.complete(request))
            return None
        return self._world.rest(DATA_SUBJECT_REQUESTS.kind)

    def _tell_who_is_lifted(self, request: DataSubjectRequest) -> None:
        if request.spec.lift is not None:
            namespace, name = request.metadata.namespace or "", request.spec.lift.request
            self._world.wake(ObjectKey(DATA_SUBJECT_REQUESTS.kind, namespace, name))

    async def _tell_all_holds(self, request: DataSubjectRequest) -> None:
        for hold in await self._peers.reader.all(LegalHold, request.metadata.namespace):
            self._world.wake(ObjectKey(LEGAL_HOLDS.kind, request.metadata.namespace or "", hold.name))

    def _tell_who_holds(self, request: DataSubjectRequest, observed: Observed) -> None:
        """Each hold counts who waits for it. Told at every look: a hold whose status is right writes nothing."""
        for name in observed.holds:
            self._world.wake(ObjectKey(LEGAL_HOLDS.kind, request.metadata.namespace or "", name))

    async def _stop(self, draft: Draft, decision: Decision, observed: Observed) -> float | None:
        if isinstance(decision, Wait):
            await draft.save(self._peers, self._recorder, no(COMPLETE, decision.reason, decision.message))
            self._tell_who_holds(draft.request, observed)
            pause = QUEUED_SECONDS if decision.reason == QUEUED else self._world.resync
            if decision.reason == NOT_YET_EXECUTABLE:
                pause = self._world.rest(DATA_SUBJECT_REQUESTS.kind)
            soonest = deadlines.seconds_to_next(draft.status, self._world.clock())
            return pause if soonest is None else min(pause, soonest)
        namespace = draft.request.metadata.namespace or ""
        for other in observed.others:
            self._world.wake(ObjectKey(DATA_SUBJECT_REQUESTS.kind, namespace, other.name))
        limits = draft.request.spec.type in LIMITING
        return self._world.rest(DATA_SUBJECT_REQUESTS.kind) if limits else None  # what stands is watched over
