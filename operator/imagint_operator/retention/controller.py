"""observe → plan → execute → status, operation after operation, for the retention of one Tenant at a time.

Writes what an operation found before the next begins, so that whoever comes next knows where the run stood. It writes
its part of the Tenant's status under a field manager of its own: the tenants' controller neither sees nor undoes it.
"""

from __future__ import annotations

import dataclasses
from datetime import datetime

from imagint_operator import names
from imagint_operator.api.retention import RetentionStatus
from imagint_operator.api.tenants import Tenant
from imagint_operator.boundpolicies import policy_of
from imagint_operator.conditions import Verdict, turned
from imagint_operator.decisions import Wait
from imagint_operator.errors import OperatorError, PermanentError
from imagint_operator.kube import statuses
from imagint_operator.kube.client import KubeClient
from imagint_operator.kube.events import Recorder
from imagint_operator.kube.readers import LiveReader, Reader
from imagint_operator.kube.resources import TENANTS, ObjectKey
from imagint_operator.legalholds import digest
from imagint_operator.retention import progress
from imagint_operator.retention.execute import KEY_OPERATIONS, Peers, Work, execute, is_committed
from imagint_operator.retention.observations import HOLDER, Observed
from imagint_operator.retention.observe import observe, standing
from imagint_operator.retention.plan import Decision, Operation, Run, plan, recorded, without_looking
from imagint_operator.telemetry import looks
from imagint_operator.terms import ruled
from imagint_operator.turns import QUEUED, QUEUED_SECONDS
from imagint_operator.world import World
from imagint_privacy.tracing import span

FIELD_MANAGER = "imagint-operator-retention"
FAILED_SECONDS = 10.0
LOUD = frozenset({progress.COMPLETED, progress.FAILED, progress.BEHIND})


class Draft:
    """A Tenant as stored, and the record of its retention that is being written."""

    def __init__(self, stored: Tenant) -> None:
        self.tenant = stored
        self.status = recorded(stored)

    def take_up(self, status: RetentionStatus) -> None:
        """Go on from this record; it is not stored yet."""
        self.status = status

    @property
    def planned(self) -> Tenant:
        """The Tenant with the drafted record."""
        status = self.tenant.status.model_copy(update={"retention": self.status})
        return self.tenant.model_copy(update={"status": status})


class RetentionController:
    """Carries out the runs of all tenants; of each tenant, never while an erasure has its key."""

    def __init__(self, client: KubeClient, reader: Reader, peers: Peers, recorder: Recorder, world: World) -> None:
        self._client = client
        self._reader = reader
        self._peers = peers
        self._recorder = recorder
        self._world = world

    async def reconcile(self, key: ObjectKey) -> float | None:
        """Go as far as possible with one tenant's retention; answers after how many seconds to look again."""
        known = await self._reader.one(Tenant, key.name)
        if known is None:
            return None
        policy = await policy_of(self._reader, known)
        known = ruled(known, policy)
        decided = without_looking(Draft(known).planned, self._world.clock())
        if decided is not None and not isinstance(decided, Run):
            return await self._stop(Draft(known), decided)
        # What is about to be carried out is read from the apiserver: a step that was recorded is not done again.
        tenant = await self._reader.fresh(Tenant, key.name)
        if tenant is None:
            return None
        draft = Draft(ruled(tenant, policy))
        while isinstance(decided := without_looking(draft.planned, self._world.clock()), Run):
            await self._record(draft, decided.operation)
        if decided is not None:
            return await self._stop(draft, decided)
        namespace = names.namespace_of(key.name)
        holder = self._world.turns.take(namespace, HOLDER)
        try:
            return await self._advance(draft, holder)
        finally:
            self._world.turns.release(namespace, HOLDER)

    async def _advance(self, draft: Draft, holder: str) -> float | None:
        try:
            return await self._run(draft, holder)
        except PermanentError as error:
            await self._save(draft, progress.failed(draft.status, f"{error.reason}: {error}"))
            raise
        except OperatorError as error:
            await self._save(draft, self._verdict(draft, f"{error.reason}: {error}"))
            raise

    async def _run(self, draft: Draft, holder: str) -> float | None:
        observed = await observe(self._reader, self._peers.keys, draft.tenant, holder, self._world.clock())
        while True:
            decision = plan(draft.planned, observed, self._world.clock())
            if not isinstance(decision, Run):
                return await self._stop(draft, decision)
            run = draft.status.current
            if run is None or decision.operation in {Operation.SCHEDULE, Operation.DROP}:
                await self._record(draft, decision.operation)
                continue
            work = Work(draft.tenant.name, run, observed.key, observed.excepted)
            if decision.operation is Operation.CHECK_HOLDS_AGAIN:
                observed = await self._ask_again(draft, observed, work)
                continue
            observed, pause = await self._operate(draft, observed, work, decision.operation)
            if pause is not None:
                return pause

    async def _ask_again(self, draft: Draft, observed: Observed, work: Work) -> Observed:
        """The holds as the apiserver has them; where they are not those of the count, how far the data plane is."""
        now, rules = self._world.clock(), work.run.rules
        held = await standing(LiveReader(self._client), draft.tenant, now, rules)
        other = bool(held.holds) or digest(held.excepted) != work.run.excepted_digest
        committed = await is_committed(self._peers, work) if other else False
        return dataclasses.replace(
            observed, holds=held.holds, excepted=held.excepted, rechecked=True, committed=committed
        )

    async def _operate(
        self, draft: Draft, observed: Observed, work: Work, operation: Operation
    ) -> tuple[Observed, float | None]:
        """Do one operation of the run, and record what it found before the next begins."""
        said = {"imagint.tenant": work.key_name}
        looks.tell(looks.story_of_run(work.run.id), said)
        with span(work.run.step.value, {"imagint.step": work.run.step.value, "imagint.operation": operation.value}):
            finding = await execute(self._peers, work, operation)
        if finding.failed:
            await self._save(draft, progress.failed(draft.status, finding.failed))
            return observed, FAILED_SECONDS
        draft.take_up(progress.advanced(draft.status, finding, self._world.clock()))
        await self._save(draft, self._verdict(draft))
        if finding.completed is not None:
            looks.conclude_run(work.run.id, said, work.run.started_at, self._world.clock())
        if operation is Operation.CONFIRM_TRIM:  # the Tenant records what is destroyed, to see that it stays so
            self._world.wake(ObjectKey(TENANTS.kind, "", work.tenant))
        if operation is Operation.BEGIN:  # counting takes a while: a hold that came meanwhile must be seen
            held = await standing(LiveReader(self._client), draft.tenant, self._world.clock())
            observed = dataclasses.replace(observed, holds=held.holds, excepted=held.excepted)
        if operation in KEY_OPERATIONS:
            observed = dataclasses.replace(observed, key=await self._peers.keys.state(work.key_name))
        return observed, finding.waiting

    async def _record(self, draft: Draft, operation: Operation) -> None:
        """Do what needs nobody else: set the moment of the next run, begin the record of a run, or drop it."""
        draft.take_up(_recorded(draft.planned, operation, self._world.clock()))
        await self._save(draft, self._verdict(draft))

    async def _stop(self, draft: Draft, decision: Decision) -> float | None:
        if isinstance(decision, Wait):
            await self._save(draft, self._verdict(draft, decision.message))
            return QUEUED_SECONDS if decision.reason == QUEUED else self._world.resync
        await self._save(draft, self._verdict(draft))
        until = None if isinstance(decision, Run) else decision.until
        if until is None:
            return None
        return min(self._world.resync, max(0.0, (until - self._world.clock()).total_seconds()))

    def _verdict(self, draft: Draft, why: str = "") -> Verdict:
        return progress.verdict(draft.tenant, draft.status, self._world.clock(), why)

    async def _save(self, draft: Draft, verdict: Verdict) -> None:
        """Write retention's part of the status, and tell people of what ended, failed or is late."""
        before = progress.part(draft.tenant)
        after = progress.judged(draft.tenant, draft.status, verdict, self._world.clock())
        version = await statuses.write(self._client, TENANTS, draft.tenant, before, after, manager=FIELD_MANAGER)
        draft.tenant = statuses.at_version(progress.stored(draft.tenant, after), version)
        for condition in turned(before.conditions, after.conditions):
            if condition.reason in LOUD:
                await self._recorder.record(draft.tenant, condition, action="Retain", prefix="Retention")


def _recorded(tenant: Tenant, operation: Operation, now: datetime) -> RetentionStatus:
    if operation is Operation.SCHEDULE:
        return progress.scheduled(tenant, now)
    return progress.ended(recorded(tenant)) if operation is Operation.DROP else progress.started(tenant, now)
