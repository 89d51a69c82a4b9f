"""Vault, the database and the tree copies restored from before an erasure, alone and together: what opens, and when.

Each moment of `docs/erasure.md`'s table, on the fake key service and on a real Vault whose storage folder is copied
and put back while it stands still. The operator's part (what it records, plans and does) is its own code.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from imagint_operator.api.tenants import Tenant
from imagint_operator.dataplane.answers import GatewayStatus
from imagint_operator.keyrings import KeyRing
from imagint_operator.tenants import walls
from imagint_operator.tenants.execute import Executor
from imagint_operator.tenants.observations import GatewayView, KeyView, Observed
from imagint_operator.tenants.plan import CloseGateway, DestroyAgain, plan
from imagint_operator.tenants.status import status
from imagint_privacy.errors import (
    KeyBehindError,
    KeyDestroyedError,
    KeyRevivedError,
    PrivacyError,
    RecordMissingError,
    StaleTreeError,
)
from imagint_privacy.purposes import Purpose
from imagint_privacy.records import backups, restore
from imagint_privacy.records.library import Draft, Library, StorageSettings

NAME = "tenant-acme"


@dataclass
class Past:
    """A tenant of whom one person was erased, and what was kept from before."""

    service: Any
    folder: Path
    subjects: dict[str, str]
    vault_before_rotation: Any
    vault_before_trim: Any
    vault_now: Any
    tenant: Tenant

    def opened(self) -> Library:
        place = self.folder / "data"
        storage = StorageSettings(f"sqlite:///{place}/records.db", f"file://{place}/objects", (f"file://{place}/copy",))
        return Library.open("acme", storage, self.service.tenant_key(NAME), key_name=NAME, cache_seconds=0.0)

    def put(self, part: str, age: str) -> None:
        """Put the database or the copy of an age in place."""
        for path in (self.folder / "data").glob(f"{part}*"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        for path in (self.folder / age).glob(f"{part}*"):
            (shutil.copytree if path.is_dir() else shutil.copy)(path, self.folder / "data" / path.name)

    def keep(self, age: str) -> None:
        shutil.copytree(self.folder / "data", self.folder / age)

    def readable(self) -> set[str]:
        """Who can be read, by the library as a Gateway opens it."""
        found = set()
        library = self.opened()
        for person, subject in self.subjects.items():
            try:
                library.read(subject, person, Purpose.ACCESS)
                found.add(person)
            except (RecordMissingError, KeyDestroyedError):
                continue
        library.close()
        return found

    def refused(self, kind: type[PrivacyError], words: str) -> None:
        with pytest.raises(kind, match=words):
            self.opened().close()

    def operator(self) -> tuple[str, str]:
        """Let the operator look at the Tenant once; answer what it says about the key."""
        observed = Observed(walls.namespace(self.tenant), dict(walls.contents(self.tenant)), self.key())
        actions = plan(self.tenant, observed, datetime.now(UTC))
        wanted = tuple(action for action in actions if isinstance(action, DestroyAgain))
        nobody: Any = None
        executor = Executor(nobody, KeyRing(self.service.admin()), nobody, nobody)
        _, observed = asyncio.run(executor.execute(self.tenant, wanted, observed))
        found = status(self.tenant, observed, datetime.now(UTC))
        self.tenant = self.tenant.model_copy(update={"status": found})
        condition = next(condition for condition in found.conditions if condition.type == "KeyReady")
        return condition.status.value, condition.reason

    def closes(self, served: int) -> bool:
        """Whether the operator closes a Gateway that serves a tree wrapped under this version."""
        gateway = GatewayView(status=GatewayStatus(tenant="acme", ready=True, key_version=served))
        observed = Observed(walls.namespace(self.tenant), dict(walls.contents(self.tenant)), self.key(), gateway)
        return CloseGateway("acme", 2) in plan(self.tenant, observed, datetime.now(UTC))

    def key(self) -> KeyView:
        return KeyView(state=self.service.admin().state(NAME))


def erase(past: Past, person: str) -> None:
    library, admin = past.opened(), past.service.admin()
    erasures = library.erasures
    erasures.fence("req", past.subjects[person], received_at=datetime.now(UTC))
    past.vault_before_rotation = past.service.snapshot()
    version = admin.rotate(NAME)
    past.vault_before_trim = past.service.snapshot()
    erasures.commit("req", version)
    erasures.copies("req")
    while erasures.caches("req").state == "Waiting":
        pass
    admin.raise_minimum(NAME, version)
    admin.trim(NAME, version)
    erasures.purge("req")
    erasures.complete("req")
    library.close()


@pytest.fixture
def past(own_key_service: Any, tmp_path: Path) -> Past:
    metadata = {"name": "acme", "uid": "uid-acme", "generation": 1, "finalizers": ["imagint.ai/tenant"]}
    tenant = Tenant.model_validate({"metadata": metadata, "spec": {"residency": {"region": "eu"}}})
    made = Past(own_key_service, tmp_path, {}, None, None, None, tenant)
    own_key_service.admin().ensure(NAME)
    library = made.opened()
    for person in ("ann", "bob"):
        made.subjects[person] = library.handle(person)
        draft = Draft(person, "images", "image/png", person.encode())
        library.store(library.begin(made.subjects[person], Purpose.GENERATE), [draft])
    library.copy_tree()
    backups.back_up(library, tmp_path / "backup")
    library.close()
    assert made.operator() == ("True", "KeyReady")
    made.keep("old")
    erase(made, "ann")
    made.keep("new")
    made.vault_now = own_key_service.snapshot()
    assert made.operator() == ("True", "KeyReady")
    return made


def test_nothing_restored(past: Past) -> None:
    assert past.readable() == {"bob"}
    assert past.operator() == ("True", "KeyReady")


def test_an_old_vault_alone(past: Past) -> None:
    """From before the rotation it opens nobody; from before the trim nobody is served until the replay."""
    past.service.restore(past.vault_before_rotation)
    past.refused(KeyBehindError, "restore a vault snapshot taken after the rotation to 2")
    assert past.operator() == ("False", "KeyBehind")
    past.refused(KeyBehindError, "vault is behind the tree")
    past.service.restore(past.vault_before_trim)
    past.refused(KeyRevivedError, "version 1 of the tenant's key again")
    assert past.operator() == ("True", "KeyReplayed")
    assert past.readable() == {"bob"}
    assert past.operator() == ("True", "KeyReady")


def test_an_old_database_alone(past: Past) -> None:
    """The copy tells that it is old; where there is no copy, Vault opens its root for nobody."""
    past.put("records.db", "old")
    past.refused(StaleTreeError, "an old one")
    past.put("copy", "nothing")
    past.refused(KeyDestroyedError, "this tree is an old one")
    past.put("copy", "old")
    past.refused(KeyDestroyedError, "this tree is an old one")


def test_both_old_while_the_copies_are_new(past: Past) -> None:
    past.put("records.db", "old")
    for vault in (past.vault_before_rotation, past.vault_before_trim):
        past.service.restore(vault)
        past.refused(StaleTreeError, "an old one")


def test_everything_old_is_stopped_by_the_operators_record_alone(past: Past) -> None:
    """The honest case: a whole past opens, until the operator destroys again, or says that Vault is behind."""
    past.put("records.db", "old")
    past.put("copy", "old")
    past.service.restore(past.vault_before_rotation)
    assert past.readable() == {"ann", "bob"}
    assert past.operator() == ("False", "KeyBehind")
    library = past.opened()
    assert past.closes(library.status().key_version)
    library.require_key(2)
    with pytest.raises(KeyRevivedError, match="vault, the database and its copies are old"):
        library.read(past.subjects["ann"], "ann", Purpose.ACCESS)
    library.close()
    past.service.restore(past.vault_before_trim)
    assert past.readable() == {"ann", "bob"}
    assert past.operator() == ("True", "KeyReplayed")
    past.refused(KeyDestroyedError, "this tree is an old one")


def test_an_old_backup_beside_an_old_vault(past: Past) -> None:
    """The backup's own root opens again in an old Vault until the replay; through the current tree it never does."""
    folder, key = past.folder / "backup", past.service.tenant_key(NAME)

    def outcomes() -> dict[str, str]:
        library = past.opened()
        found = {line.record_id: line.outcome for line in restore.check(folder, library).lines}
        library.close()
        return found

    assert restore.old_root(folder, key).refused
    past.service.restore(past.vault_before_trim)
    assert not restore.old_root(folder, key).refused
    past.refused(KeyRevivedError, "restored from an older snapshot")
    assert past.operator() == ("True", "KeyReplayed")
    assert restore.old_root(folder, key).refused
    assert outcomes() == {"ann": "KeyDestroyed", "bob": "Opens"}


@pytest.mark.parametrize(
    "order",
    [
        pytest.param(["vault", "database"], id="Vault first, then the database"),
        pytest.param(["database", "vault"], id="the database first, then Vault"),
    ],
)
def test_a_restore_is_taken_back_in_any_order(past: Past, order: list[str]) -> None:
    past.put("records.db", "old")
    past.service.restore(past.vault_before_trim)
    back: dict[str, Callable[[], None]] = {
        "vault": lambda: past.service.restore(past.vault_now),
        "database": lambda: past.put("records.db", "new"),
    }
    for part in order:
        with pytest.raises(PrivacyError):
            past.opened()
        back[part]()
    assert past.readable() == {"bob"}
