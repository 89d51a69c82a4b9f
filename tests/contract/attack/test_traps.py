"""Every trap of Vault's transit engine, of caches and of replicas that the notes name, one test or more each.

upsert                       a late writer makes the destroyed key again
non-transactional delete     a delete that breaks off leaves the archive of all versions
reversible minimum           a raised minimum is lowered again
exportable flags             once set they stay, and the key can leave Vault
clear-text names             Vault logs paths as they are (the whole life's paths: `test_canaries`)
unbounded caches             keys stay in memory for ever
stale standby                a replica answers from before the erasure, or somebody answers who is not Vault
"""

from __future__ import annotations

import base64
import itertools
import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.contract.conftest import RealVault

from imagint_privacy.errors import (
    KeyDestroyedError,
    KeyForbiddenError,
    KeyMissingError,
    KeyRefusedError,
    PermanentError,
)
from imagint_privacy.purposes import Purpose
from imagint_privacy.records.library import Draft, Library, StorageSettings
from imagint_privacy.vault import KeyAdmin, KeyProber, TenantKey, VaultSession

ROOT = Path(__file__).parents[3]
_numbers = itertools.count(1)


@pytest.fixture
def name() -> str:
    return f"tenant-trap-{next(_numbers)}"


def opened(vault: RealVault, folder: Path, name: str) -> Library:
    storage = StorageSettings(f"sqlite:///{folder}/records.db", f"file://{folder}/objects")
    return Library.open("acme", storage, vault.tenant_key(name), key_name=name, cache_seconds=0.0)


# -- upsert ----------------------------------------------------------------------------------------------------------


def test_upsert_a_late_writer_cannot_make_a_destroyed_key_again(
    real_vault: RealVault, name: str, tmp_path: Path
) -> None:
    admin = real_vault.admin()
    admin.ensure(name)
    library = opened(real_vault, tmp_path, name)
    ticket = library.begin(library.handle("ann"), Purpose.GENERATE)
    admin.destroy(name)
    draft = Draft("late", "images", "image/png", b"late", large=True)
    for late in (
        lambda: library.store(ticket, [draft]),
        lambda: library.tree.rewrap(key_version=1),
        lambda: opened(real_vault, tmp_path, name),
        lambda: opened(real_vault, tmp_path / "new", name),
        lambda: real_vault.tenant_key(name).encrypt(b"root"),
    ):
        with pytest.raises(PermanentError):
            late()
    assert admin.state(name) is None
    library.close()


def test_upsert_that_somebody_switches_on_is_seen(real_vault: RealVault) -> None:
    assert real_vault.admin().upsert_disabled()
    real_vault.http("POST", "transit/config/keys", {"disable_upsert": False})
    try:
        assert not real_vault.admin().upsert_disabled()
    finally:
        real_vault.http("POST", "transit/config/keys", {"disable_upsert": True})


# -- non-transactional delete ----------------------------------------------------------------------------------------


class Cut(BaseException):
    """The operator's process is gone."""


class CutSession:
    """A session that breaks off before its n-th call."""

    def __init__(self, session: VaultSession, calls: int) -> None:
        self._session, self.left = session, calls

    def call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        if not self.left:
            raise Cut
        self.left -= 1
        return self._session.call(method, path, body)


def test_delete_that_breaks_off_after_any_call_ends_the_same_when_it_is_done_again(
    real_vault: RealVault, name: str
) -> None:
    admin, breaks = real_vault.admin(), 0
    while True:
        key = f"{name}-{breaks}"
        admin.ensure(key)
        old = [real_vault.tenant_key(key).encrypt(b"root")]
        admin.rotate(key)
        old.append(real_vault.tenant_key(key).encrypt(b"root"))
        session: Any = CutSession(real_vault.session(), breaks)
        try:
            KeyAdmin(session).destroy(key)
        except Cut:
            breaks += 1
        else:
            break
        admin.destroy(key)
        assert admin.state(key) is None
        admin.ensure(key)
        for ciphertext in old:
            assert real_vault.prober().refused(key, ciphertext).refused
    assert breaks >= 8


def test_delete_has_nothing_old_left_to_leave_behind_when_it_comes_to_it(real_vault: RealVault, name: str) -> None:
    """Vault's archive survives a delete that breaks off: so no old version may be in it by then."""
    admin, session = real_vault.admin(), real_vault.session()
    admin.ensure(name)
    olds = [real_vault.tenant_key(name).encrypt(b"root")]
    for _ in range(3):
        admin.rotate(name)
        olds.append(real_vault.tenant_key(name).encrypt(b"root"))
    held = {1, 2, 3, 4}
    assert _versions_held(session, name) == held
    cut: Any = _CutAtDelete(real_vault.session())
    with pytest.raises(Cut):
        KeyAdmin(cut).destroy(name)
    assert _versions_held(session, name) == {5}
    assert [real_vault.prober().refused(name, old).reason for old in olds] == ["too-old"] * 4


class _CutAtDelete:
    def __init__(self, session: VaultSession) -> None:
        self._session = session

    def call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        if method == "delete":
            raise Cut
        return self._session.call(method, path, body)


def _versions_held(session: VaultSession, name: str) -> set[int]:
    """Return the versions that are anywhere in Vault's storage, by a backup with all rights, archive included."""
    session.call("post", f"transit/keys/{name}/config", {"exportable": True, "allow_plaintext_backup": True})
    backup = json.loads(base64.b64decode(session.call("get", f"transit/backup/{name}")["backup"]))
    first = backup["policy"].get("archive_min_version", 0)
    archived = {first + at for at, key in enumerate(backup["archived_keys"]["keys"]) if key.get("key")}
    return {int(version) for version in backup["policy"]["keys"]} | (archived - {0})


# -- reversible minimum ----------------------------------------------------------------------------------------------


def test_minimum_alone_can_be_taken_back_and_a_trim_cannot(real_vault: RealVault, name: str) -> None:
    admin, session = real_vault.admin(), real_vault.session()
    admin.ensure(name)
    old = real_vault.tenant_key(name).encrypt(b"root")
    version = admin.rotate(name)
    admin.raise_minimum(name, version)
    assert real_vault.prober().refused(name, old).refused
    session.call("post", f"transit/keys/{name}/config", {"min_decryption_version": 1})
    assert real_vault.tenant_key(name).decrypt(old) == b"root", "the trap is real"
    admin.raise_minimum(name, version)
    admin.trim(name, version)
    with pytest.raises(KeyRefusedError):
        session.call("post", f"transit/keys/{name}/config", {"min_decryption_version": 1})
    with pytest.raises(KeyRefusedError):
        session.call("post", f"transit/keys/{name}/trim", {"min_available_version": 1})
    with pytest.raises(KeyDestroyedError):
        real_vault.tenant_key(name).decrypt(old)


def test_minimum_alone_is_no_proof_for_the_prober_nor_for_the_operator(real_vault: RealVault, name: str) -> None:
    """Both look at `min_available_version`, which only a trim moves; see also evidence/rules and requests/plan."""
    checks = pytest.importorskip("imagint_serving.prober.checks")
    admin = real_vault.admin()
    admin.ensure(name)
    version = admin.rotate(name)
    admin.raise_minimum(name, version)
    raised = admin.state(name)
    assert raised is not None
    assert not checks._trimmed(raised, version).passed
    admin.trim(name, version)
    assert checks._trimmed(admin.state(name), version).passed
    assert not checks._trimmed(replace(raised, min_available_version=version - 1), version).passed


# -- exportable flags ------------------------------------------------------------------------------------------------


def session_with(vault: RealVault, policy: str) -> VaultSession:
    """Return a session that may do what one of the published policies allows, and nothing else."""
    text = (ROOT / "policies" / "vault" / f"{policy}.hcl").read_text(encoding="ascii")
    vault.http("PUT", f"sys/policies/acl/{policy}", {"policy": text})
    made = vault.http("POST", "auth/token/create", {"policies": [policy], "no_default_policy": True})
    return VaultSession.with_token(vault.address, made["auth"]["client_token"])


def test_the_operators_policies_suffice_for_a_keys_whole_life(real_vault: RealVault, name: str) -> None:
    admin, shredder = (KeyAdmin(session_with(real_vault, policy)) for policy in ("controller", "shredder"))
    assert admin.ensure(name).never_exportable
    version = shredder.rotate(name)
    shredder.raise_minimum(name, version)
    shredder.trim(name, version)
    assert admin.upsert_disabled()
    shredder.destroy(name)
    assert admin.state(name) is None


OPERATOR_MAY_NOT: tuple[tuple[str, str, dict[str, Any] | None], ...] = (
    ("post", "transit/keys/{new}", {"type": "aes256-gcm96", "exportable": True}),
    ("post", "transit/keys/{new}", {"type": "aes256-gcm96", "allow_plaintext_backup": True}),
    ("post", "transit/keys/{new}", {"type": "aes256-gcm96", "derived": True}),
    ("post", "transit/keys/{name}/config", {"exportable": True}),
    ("post", "transit/keys/{name}/config", {"allow_plaintext_backup": True}),
    ("post", "transit/keys/{name}/config", {"exportable": True, "min_decryption_version": 1}),
    ("get", "transit/export/encryption-key/{name}", None),
    ("get", "transit/backup/{name}", None),
    ("post", "transit/restore/{new}", {"backup": ""}),
    ("post", "transit/encrypt/{name}", {"plaintext": ""}),
    ("post", "transit/decrypt/{name}", {"ciphertext": ""}),
    ("post", "transit/rewrap/{name}", {"ciphertext": ""}),
    ("post", "transit/datakey/plaintext/{name}", {}),
    ("post", "transit/config/keys", {"disable_upsert": False}),
    ("get", "sys/storage/raft/snapshot", None),
    ("get", "sys/raw/core", None),
)


@pytest.mark.parametrize("policy", ["controller", "shredder"])
@pytest.mark.parametrize(
    ("method", "path", "body"),
    OPERATOR_MAY_NOT,
    ids=[f"{method} {path} {'+'.join(body or ())}" for method, path, body in OPERATOR_MAY_NOT],
)
def test_flags_and_contents_are_out_of_the_operators_reach(
    real_vault: RealVault, name: str, policy: str, method: str, path: str, body: dict[str, Any] | None
) -> None:
    real_vault.admin().ensure(name)
    session = session_with(real_vault, policy)
    with pytest.raises(KeyForbiddenError):
        session.call(method, path.format(name=name, new=f"{name}-new"), body)
    assert real_vault.admin().state(f"{name}-new") is None
    state = real_vault.admin().state(name)
    assert state is not None
    assert state.never_exportable


def test_the_prober_sees_refusals_and_can_read_and_destroy_nothing(real_vault: RealVault, name: str) -> None:
    real_vault.admin().ensure(name)
    ciphertext = real_vault.tenant_key(name).encrypt(b"root")
    session = session_with(real_vault, "prober")
    assert KeyProber(session).refused(name, ciphertext).reason == "accepted"
    for call in (
        lambda: TenantKey(session, name).decrypt(ciphertext),
        lambda: TenantKey(session, name).encrypt(b"x"),
        lambda: KeyAdmin(session).rotate(name),
        lambda: KeyAdmin(session).trim(name, 2),
        lambda: KeyAdmin(session).destroy(name),
    ):
        with pytest.raises(KeyForbiddenError):
            call()


# -- clear-text names ------------------------------------------------------------------------------------------------


def test_no_name_that_could_say_who_somebody_is_ever_stands_in_a_path(
    real_vault: RealVault, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths: list[str] = []
    send = VaultSession._send

    def sending(self: VaultSession, method: str, path: str, *rest: Any, **named: Any) -> Any:
        paths.append(path)
        return send(self, method, path, *rest, **named)

    monkeypatch.setattr(VaultSession, "_send", sending)
    admin = real_vault.admin()
    admin.ensure(name)
    library = opened(real_vault, tmp_path, name)
    ann = library.handle("ann@example.test")
    draft = Draft("img", "images", "image/png", b"x", large=True)
    library.store(library.begin(ann, Purpose.GENERATE), [draft])
    library.erasures.fence("req", ann, received_at=datetime.now(UTC))
    library.erasures.seal_canaries("req", ann, b"n" * 32)
    library.erasures.commit("req", admin.rotate(name))
    library.close()
    assert len(paths) > 5
    assert {path.replace(name, "KEY") for path in paths} <= {
        "transit/keys/KEY",
        "transit/keys/KEY/rotate",
        "transit/encrypt/KEY",
        "transit/decrypt/KEY",
    }


@pytest.mark.parametrize("bad", ["ann@example.test", "../sys/seal", "Tenant", "tenant a", "", "a" * 64, "a/b"])
def test_a_name_that_is_no_keys_never_reaches_vault(bad: str) -> None:
    session = VaultSession("http://127.0.0.1:9", "", Path("/nowhere"))
    for call in (
        lambda: TenantKey(session, bad),
        lambda: KeyAdmin(session).rotate(bad),
        lambda: KeyProber(session).refused(bad, "vault:v1:eA=="),
    ):
        with pytest.raises(KeyMissingError):
            call()
