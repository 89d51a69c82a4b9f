"""observe → plan → execute → status, for one PrivacyPolicy at a time."""

from __future__ import annotations

import dataclasses

from imagint_operator.api.policies import PrivacyPolicy
from imagint_operator.conditions import turned
from imagint_operator.kube import statuses
from imagint_operator.kube.client import KubeClient
from imagint_operator.kube.events import Recorder
from imagint_operator.kube.readers import Reader
from imagint_operator.kube.resources import CONFIG_MAPS, PRIVACY_POLICIES, ObjectKey
from imagint_operator.policies import editions
from imagint_operator.policies.observations import Observed
from imagint_operator.policies.observe import observe
from imagint_operator.policies.plan import Publish, next_moment, plan
from imagint_operator.policies.status import SUBJECTS_NOTIFIED, status
from imagint_operator.telemetry import looks
from imagint_operator.terms import binding_of
from imagint_operator.world import World
from imagint_privacy.tracing import span


class PolicyController:
    """Publishes editions and puts them in force when their moment comes."""

    def __init__(self, client: KubeClient, reader: Reader, recorder: Recorder, world: World) -> None:
        self._client = client
        self._reader = reader
        self._recorder = recorder
        self._world = world

    async def reconcile(self, key: ObjectKey) -> float | None:
        """Look at one policy; answers after how many seconds to look again."""
        policy = await self._reader.one(PrivacyPolicy, key.name)
        if policy is None:
            return None
        if policy.metadata.deletion_timestamp is not None:
            return None
        looks.about(policy)
        now = self._world.clock()
        with span("observe", {}):
            observed = await observe(self._client, self._reader, policy, now)
        decision = plan(policy, observed, now)
        if isinstance(decision, Publish):
            made = await self._client.create(CONFIG_MAPS, editions.config_map(policy, now))
            observed = dataclasses.replace(observed, editions={**observed.editions, decision.config_map: made})
        after = status(policy, observed, plan(policy, observed, now), now)
        written = await statuses.write(self._client, PRIVACY_POLICIES, policy, policy.status, after)
        for condition in turned(policy.status.conditions, after.conditions):
            prefix = "Subjects" if condition.type == SUBJECTS_NOTIFIED else "Policy"
            await self._recorder.record(policy, condition, action="Publish", prefix=prefix)
        if written and policy.status.in_force != after.in_force:
            self._wake(observed)
        moment = next_moment(policy.model_copy(update={"status": after}), now)
        left = (moment - now).total_seconds() if moment is not None else self._world.resync
        return max(0.0, min(left, self._world.resync))

    def _wake(self, observed: Observed) -> None:
        """The terms changed: whoever is bound by them looks again."""
        for tenant in observed.tenants:
            self._world.wake(binding_of(tenant))
