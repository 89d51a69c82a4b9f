"""The projector's loop: observe, plan, act; one bad tenant never holds up the others.

It must not log a token, a key or a body: actions and errors appear by tenant name and status only.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Protocol

import httpx
import jwt

from imagint_serving.projector.apiserver import NOT_YET
from imagint_serving.projector.errors import ApiServerError, ProjectorError
from imagint_serving.projector.handovers import KEYS_FILE, PLATFORM_FILE, Handover
from imagint_serving.projector.observations import (
    Attempts,
    Holding,
    KeyReference,
    MintedToken,
    TenantView,
)
from imagint_serving.projector.plans import (
    Action,
    Check,
    Mint,
    Remove,
    backoff,
    failed,
    plan,
    renew_at,
)
from imagint_serving.projector.settings import ProjectorSettings

MIN_KEY_CHARACTERS = 16
"""Shorter keys are not handed over: a digest of something guessable is no protection."""

_log = logging.getLogger("imagint.projector")


class Source(Protocol):
    """What the projector asks of the apiserver."""

    def tenants(self) -> list[TenantView]:
        """List every Tenant."""

    def namespaces(self) -> set[str]:
        """Return the names of the tenant namespaces that exist."""

    def account_uid(self, namespace: str) -> str | None:
        """Return the uid of the data plane's account, or None when that cannot be told."""

    def mint_token(self, namespace: str, seconds: int, now: float) -> MintedToken:
        """Mint a token for the data plane of one tenant."""

    def secret_value(self, namespace: str, reference: KeyReference) -> bytes | None:
        """Return one value of one Secret."""

    def platform(self) -> bytes:
        """Return the issuer and its public keys."""

    def handed(self, namespace: str) -> dict[str, str] | None:
        """Return what the object for the Gateway in a tenant's namespace holds; None when it is not the projector's."""

    def hand(self, tenant: TenantView, content: dict[str, str]) -> None:
        """Make the object for the Gateway in a tenant's namespace hold exactly this."""


class Projector:
    """Keeps the handover folder, and one object in each namespace with a Gateway, equal to what the cluster says."""

    def __init__(self, source: Source, handover: Handover, settings: ProjectorSettings) -> None:
        self._source = source
        self._handover = handover
        self._settings = settings
        self._holdings = dict.fromkeys(handover.folders(), Holding(filed=True))
        self._platform_due = 0.0
        self._platform = b""
        self._failures = 0
        self._workers = ThreadPoolExecutor(max_workers=4, thread_name_prefix="projector")

    def run(self, clock: Callable[[], float], wait: Callable[[float], bool]) -> None:
        """Step until `wait` says that it is time to stop."""
        pause = 0.0
        while not wait(pause):
            pause = self.step(clock())
        self._workers.shutdown(wait=True)

    def step(self, now: float) -> float:
        """Do everything that is due and return how long to wait before the next step."""
        try:
            self._refresh_platform(now)
            actions = plan(
                self._source.tenants(),
                self._source.namespaces(),
                self._holdings,
                now,
                self._settings.actions_per_poll,
            )
        except (ProjectorError, OSError, KeyError, ValueError) as error:
            self._failures += 1
            _log.warning("cannot observe (attempt %d): %s", self._failures, describe(error))
            return max(self._settings.poll_seconds, backoff(self._failures))
        self._failures = 0
        list(self._workers.map(lambda group: self._act_all(group, now), _by_tenant(actions)))
        return self._settings.poll_seconds

    def _refresh_platform(self, now: float) -> None:
        if now >= self._platform_due:
            self._platform = self._source.platform()
            self._handover.write_platform(self._platform)
            self._platform_due = now + self._settings.platform_seconds

    def _act_all(self, actions: list[Action], now: float) -> None:
        """Act for one tenant; a failure delays that tenant only."""
        for action in actions:
            try:
                self._act(action, now)
            except (ProjectorError, OSError, KeyError, ValueError, jwt.PyJWTError) as error:
                self._failed(action, error, now)

    def _act(self, action: Action, now: float) -> None:
        match action:
            case Remove(tenant=name):
                self._handover.remove(name)
                self._holdings.pop(name, None)
                _log.info("removed what %s held", name)
            case Mint(tenant=tenant):
                self._mint(tenant, now)
            case Check(tenant=tenant):
                self._check(tenant, now)

    def _failed(self, action: Action, error: Exception, now: float) -> None:
        not_yet = isinstance(error, ApiServerError) and error.status in NOT_YET
        match action:
            case Mint(tenant=TenantView(name=name)):
                held = self._held(name)
                attempts = failed(held.minting, now, not_yet=not_yet)
                self._holdings[name] = replace(held, minting=attempts)
            case Check(tenant=TenantView(name=name)):
                held = self._held(name)
                attempts = failed(held.checking, now, not_yet=not_yet)
                self._holdings[name] = replace(held, checking=attempts)
            case Remove(tenant=name):
                attempts = Attempts(1)
        level = logging.INFO if not_yet else logging.WARNING
        _log.log(level, "%s for %s, time %d: %s", type(action).__name__, name, attempts.failures, describe(error))

    def _held(self, name: str) -> Holding:
        return self._holdings.get(name, Holding())

    def _mint(self, tenant: TenantView, now: float) -> None:
        minted = self._source.mint_token(tenant.namespace, self._settings.token_seconds, now)
        self._handover.write_token(tenant.name, minted.token)
        self._holdings[tenant.name] = replace(
            self._held(tenant.name),
            account_uid=minted.account_uid,
            renew_at=renew_at(minted.minted_at, minted.expires_at),
            minting=Attempts(),
            filed=True,
        )
        _log.info("minted a token for %s", tenant.name)

    def _check(self, tenant: TenantView, now: float) -> None:
        digests = self._digests(tenant)
        if tenant.shared:
            self._handover.write_keys(tenant.name, digests)
            self._holdings[tenant.name] = replace(self._held(tenant.name), filed=True)
        objected = self._hand(tenant, digests)
        account = self._source.account_uid(tenant.namespace) if tenant.shared else None
        held = self._held(tenant.name)
        if held.usable != len(digests):
            _log.info("%s: %d of %d API keys usable", tenant.name, len(digests), len(tenant.api_keys))
        # A token dies with the account it was minted for, whatever its own life.
        stale = account is not None and account != held.account_uid
        self._holdings[tenant.name] = replace(
            held,
            renew_at=0.0 if stale else held.renew_at,
            keys=tenant.api_keys,
            usable=len(digests),
            checked_at=now,
            checking=Attempts(),
            objected=objected,
        )

    def _hand(self, tenant: TenantView, digests: dict[str, str]) -> bool:
        """Bring the object in the tenant's namespace up to date, and return whether something lies there.

        Once the tenant has moved to the shared cluster it is emptied: a key that is revoked later must not wait there
        for the day when the tenant moves back. It is read again only while a Gateway reads it.
        """
        if not tenant.dedicated and self._held(tenant.name).objected is False:
            return False
        found = self._source.handed(tenant.namespace)
        if not tenant.dedicated and not found:
            return False
        wanted = _content(digests, self._platform) if tenant.dedicated else {}
        if found != wanted:
            self._source.hand(tenant, wanted)
            _log.info("handed %d entries over into the namespace of %s", len(wanted), tenant.name)
        return tenant.dedicated

    def _digests(self, tenant: TenantView) -> dict[str, str]:
        values = {
            reference.name: (self._source.secret_value(tenant.namespace, reference) or b"").strip()
            for reference in tenant.api_keys
        }
        usable = {name: value for name, value in values.items() if len(value) >= MIN_KEY_CHARACTERS}
        return {name: hashlib.sha256(value).hexdigest() for name, value in usable.items()}


def _content(digests: dict[str, str], platform: bytes) -> dict[str, str]:
    """Return what a Gateway in a tenant's own namespace reads: digests of keys and public keys, nothing secret."""
    return {KEYS_FILE: json.dumps(digests, sort_keys=True), PLATFORM_FILE: platform.decode()}


def describe(error: Exception) -> str:
    """Say what failed without repeating anything that an answer or a file held."""
    return str(error) if isinstance(error, ProjectorError | httpx.HTTPError) else type(error).__name__


def _by_tenant(actions: list[Action]) -> list[list[Action]]:
    groups: dict[str, list[Action]] = {}
    for action in actions:
        name = action.tenant if isinstance(action, Remove) else action.tenant.name
        groups.setdefault(name, []).append(action)
    return list(groups.values())
