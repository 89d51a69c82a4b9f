"""One cheap read notices a Vault that came back, or came back older."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from imagint_operator.api.requests import DataSubjectRequest
from imagint_operator.api.tenants import Tenant
from imagint_operator.errors import VaultUnavailableError
from imagint_operator.vaultwatch import VAULT, VaultWatch, newest, older
from imagint_privacy.keys.ports import KeyState

STATE = KeyState("tenant-acme", 3, 3, 3, 3, exportable=False, allow_plaintext_backup=False, deletion_allowed=False)


class Keys:
    """One key of one Vault, and what the operator remembers of it."""

    def __init__(self) -> None:
        self.last: tuple[str, KeyState | None] | None = None
        self.now: KeyState | None = STATE
        self.away = False

    async def state(self, _name: str) -> KeyState | None:
        if self.away:
            raise VaultUnavailableError("sealed")
        return self.now

    async def upsert_disabled(self) -> bool:
        await self.state("")
        return True


class Reader:
    """The tenants and requests there are."""

    def __init__(self, *tenants: Tenant) -> None:
        self._tenants = tenants

    async def all(self, model: type[Any], _namespace: str | None = None) -> list[Any]:
        return list(self._tenants) if model is Tenant else []


@pytest.fixture
def keys() -> Keys:
    return Keys()


@pytest.fixture
def calls() -> list[str]:
    return []


@pytest.fixture
def watch(keys: Keys, calls: list[str], make_tenant: Callable[..., Tenant]) -> VaultWatch:
    async def everybody() -> None:
        calls.append("all")

    tenant = make_tenant(
        creationTimestamp="2026-01-01T00:00:00Z", status={"key": {"name": "tenant-acme", "version": 3}}
    )
    return VaultWatch(keys, Reader(tenant), everybody)  # type: ignore[arg-type]


async def test_at_rest_nobody_is_woken(watch: VaultWatch, keys: Keys, calls: list[str]) -> None:
    for _ in range(3):
        await watch.reconcile(VAULT)
    assert keys.last == ("tenant-acme", STATE)
    assert not calls


async def test_going_and_coming_back_wake_everybody_once_each(watch: VaultWatch, keys: Keys, calls: list[str]) -> None:
    await watch.reconcile(VAULT)
    for away, woken in ((True, 1), (True, 1), (False, 2), (False, 2)):
        keys.away = away
        await watch.reconcile(VAULT)
        assert len(calls) == woken


async def test_an_older_vault_wakes_everybody(watch: VaultWatch, keys: Keys, calls: list[str]) -> None:
    await watch.reconcile(VAULT)
    keys.now = dataclasses.replace(STATE, min_available_version=2)
    await watch.reconcile(VAULT)
    assert calls == ["all"]
    await watch.reconcile(VAULT)  # what it is now is what it is compared with from here on
    assert calls == ["all"]


@pytest.mark.parametrize(
    ("now", "known", "verdict"),
    [
        pytest.param(STATE, STATE, False, id="as it was"),
        pytest.param(dataclasses.replace(STATE, latest_version=4), STATE, False, id="rotated by somebody"),
        pytest.param(dataclasses.replace(STATE, latest_version=2), STATE, True, id="from before a rotation"),
        pytest.param(dataclasses.replace(STATE, min_available_version=0), STATE, True, id="from before a trim"),
        pytest.param(dataclasses.replace(STATE, min_decryption_version=1), STATE, True, id="from before a raise"),
        pytest.param(None, STATE, True, id="from before the key"),
        pytest.param(STATE, None, True, id="from before its destruction"),
        pytest.param(None, None, False, id="still destroyed"),
    ],
)
def test_older(now: KeyState | None, known: KeyState | None, verdict: bool) -> None:
    assert older(now, known) is verdict


def test_the_newest_change_is_found_in_what_is_recorded(
    make_tenant: Callable[..., Tenant], make_request: Callable[..., DataSubjectRequest]
) -> None:
    def made(name: str, day: int, **status: Any) -> Tenant:
        moment = datetime(2026, 1, day, tzinfo=UTC).isoformat()
        status = {"key": {"name": f"tenant-{name}", "version": 1}} | status
        return make_tenant(name, creationTimestamp=moment, status=status)

    def trimmed(day: int) -> DataSubjectRequest:
        done = {"name": "Trim", "state": "Done", "finishedAt": datetime(2026, 1, day, tzinfo=UTC).isoformat()}
        return make_request(status={"steps": [done]})

    assert newest([], []) is None
    assert newest([made("ada", 1), made("bob", 2)], []) == "tenant-bob"
    acme, ada = made("acme", 1), made("ada", 1)
    assert newest([acme, ada, made("bob", 2)], [trimmed(3)]) == "tenant-acme"
    assert newest([acme, ada, made("bob", 5)], [trimmed(3)]) == "tenant-bob"
    # One without a key would leave a restored Vault unnoticed for as long as it is the newest.
    assert newest([ada, made("bob", 5, key=None)], []) == "tenant-ada"
    ending = {"step": "Probe", "startedAt": "2026-01-05T00:00:00Z", "begunAt": "2026-01-05T00:01:00Z"}
    assert newest([ada, made("bob", 5, deletion=ending)], []) == "tenant-ada"
    assert newest([ada], [trimmed(3)]) == "tenant-ada"
