"""The one writer of a Serve cluster: renders the full set, puts it when it differs, and remembers what it saw.

Others read its `view` and are told, by key, when something of theirs has changed. Any drift is put right at the next
look: an application removed by hand, or a Ray that came back empty.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from imagint_operator.api.models import ModelDeployment
from imagint_operator.api.tenants import Tenant
from imagint_operator.errors import OperatorError
from imagint_operator.kube.differences import covers
from imagint_operator.kube.readers import Reader
from imagint_operator.kube.resources import TENANTS, ObjectKey
from imagint_operator.serve.applications import Application, is_served
from imagint_operator.serve.ports import AppStatus, Deployed, ServePort
from imagint_operator.serve.rendering import Rendered
from imagint_operator.serve.views import AppState, ServeView
from imagint_operator.settings import Settings
from imagint_operator.times import Clock

UNSETTLED_SECONDS = 0.4
SETTLED_SECONDS = 5.0
SETTLED_SECONDS_AN_APPLICATION = 0.01  # Serve answers with all of them: the more, the rarer
LEAST_PAUSE, SHARE = 0.05, 4.0  # at most a fifth of the time goes into looks, however many applications there are
FAILED_SECONDS = 30.0
_TURNING = {AppStatus.NOT_STARTED, AppStatus.DEPLOYING, AppStatus.DELETING}
_log = logging.getLogger(__name__)


class ServeWriter:
    """Keeps the cluster's applications equal to what the custom resources ask for."""

    def __init__(
        self,
        reader: Reader,
        port: ServePort,
        settings: Settings,
        *,
        clock: Clock,
        notify: Callable[[ObjectKey], None],
    ) -> None:
        self._reader = reader
        self._rendered = Rendered(settings)
        self._port = port
        self._settings = settings
        self._clock = clock
        self._notify = notify
        self._last_put: float = 0.0
        self._compared: tuple[Mapping[str, Application], Mapping[str, Deployed]] = ({}, {})
        self._states: dict[str, tuple[Application, Deployed | None, AppState]] = {}
        self._unsettled = True
        self._failed = False
        self.pause = LEAST_PAUSE
        self.view: ServeView | None = None

    async def reconcile(self, _key: ObjectKey) -> float:
        """Look, write when something differs, look again, and tell whom it concerns."""
        began = time.monotonic()
        try:
            view = await self._settle()
        except OperatorError as error:
            self._publish(ServeView(apps=self.view.apps if self.view else {}, problem=error))
            raise
        if view is not self.view:
            self._publish(view)
            turning = any(not app.current or app.status in _TURNING for app in view.apps.values())
            self._unsettled = turning or bool(view.present - view.apps.keys())
            self._failed = any(app.status is AppStatus.DEPLOY_FAILED for app in view.apps.values())
        self.pause = max(LEAST_PAUSE, SHARE * (time.monotonic() - began))
        if self._unsettled:
            return max(UNSETTLED_SECONDS, self.pause)
        return max(SETTLED_SECONDS, len(view.apps) * SETTLED_SECONDS_AN_APPLICATION)

    async def _settle(self) -> ServeView:
        began = self._clock()
        tenants, models = await asyncio.gather(self._reader.all(Tenant), self._reader.all(ModelDeployment))
        wanted = self._rendered.of(tenants, models)
        deployed = await self._port.observe()
        leaving = {tenant.metadata.uid: tenant.name for tenant in tenants if not is_served(tenant)}
        if self._at_rest(wanted, deployed, leaving) and self.view is not None:
            return self.view
        if self._must_put(wanted, deployed):
            await self._port.replace(list(wanted.values()))
            self._last_put = self._clock().timestamp()
            _log.info("put %d applications", len(wanted))
            deployed = await self._port.observe()
        apps = {name: self._state(application, deployed.get(name)) for name, application in wanted.items()}
        self._compared = (wanted, deployed)
        return ServeView(apps, frozenset(deployed), leaving, seen_at=began)

    def _at_rest(
        self, wanted: Mapping[str, Application], deployed: Mapping[str, Deployed], leaving: Mapping[str, str]
    ) -> bool:
        """Whether nothing at all turned since the last look, and all was well."""
        same = self._compared[0] is wanted and self._compared[1] is deployed
        view, turning = self.view, self._unsettled or self._failed
        return same and not turning and view is not None and view.problem is None and view.leaving == leaving

    def _state(self, wanted: Application, deployed: Deployed | None) -> AppState:
        """As `_state`, remembered while both are the same objects."""
        known = self._states.get(wanted.name)
        if known is None or known[0] is not wanted or known[1] is not deployed:
            known = (wanted, deployed, _state(wanted, deployed))
            self._states[wanted.name] = known
        return known[2]

    def _must_put(self, wanted: Mapping[str, Application], deployed: Mapping[str, Deployed]) -> bool:
        if any(not self._state(application, deployed.get(name)).current for name, application in wanted.items()):
            return True
        strangers = {name for name, app in deployed.items() if app.status is not AppStatus.DELETING} - wanted.keys()
        failed = any(app.status is AppStatus.DEPLOY_FAILED for app in deployed.values())
        rested = self._clock().timestamp() - self._last_put >= FAILED_SECONDS
        return bool(strangers) or (failed and rested)

    def _publish(self, view: ServeView) -> None:
        before, self.view = self.view, view
        for key in _concerned(before, view):
            self._notify(key)


def _concerned(before: ServeView | None, after: ServeView) -> set[ObjectKey]:
    """Whose state has changed between two looks. A Gateway's concerns its tenant's models, and the other way round."""
    if before is None or (before.problem is None) != (after.problem is None):
        return {state.source for state in after.apps.values()} | _tenants(after.leaving.values())
    turned = {name.partition(".")[0] for name, state in after.apps.items() if before.apps.get(name) != state}
    changed = {state.source for name, state in after.apps.items() if name.partition(".")[0] in turned}
    gone = before.present - after.present
    left = [name for uid, name in after.leaving.items() if uid not in before.leaving]
    return changed | _tenants(name.partition(".")[0] for name in gone) | _tenants(left)


def _tenants(found: Iterable[str]) -> set[ObjectKey]:
    return {ObjectKey(TENANTS.kind, "", name) for name in found}


def _matches(deployed: Deployed | None, wanted: Application) -> bool:
    """Whether Serve was told exactly this. It answers what it was told, with its own defaults inside some options."""
    if deployed is None or deployed.status is AppStatus.DELETING:
        return False
    exact = deployed.config.get("args") == wanted.config["args"]
    return exact and covers(deployed.config, wanted.config) and _live(deployed.config) == _live(wanted.config)


def _live(config: Mapping[str, Any]) -> list[Any]:
    return [deployment.get("user_config") for deployment in config.get("deployments", [])]


def _state(wanted: Application, deployed: Deployed | None) -> AppState:
    status = deployed.status if deployed else AppStatus.NOT_STARTED
    return AppState(wanted.source, wanted.generation, wanted.digest, status, _matches(deployed, wanted))
