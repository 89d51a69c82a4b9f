"""What the key service must do, asked of the true fake and of a real Vault alike."""

from __future__ import annotations

import base64
import itertools
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from imagint_privacy.errors import (
    KeyDestroyedError,
    KeyMissingError,
    KeyRefusedError,
    KeysUnavailableError,
    PermanentError,
)

_numbers = itertools.count(1)


@pytest.fixture
def name() -> str:
    return f"tenant-test-{next(_numbers)}"


def test_a_new_key_can_never_be_exported(key_service: Any, name: str) -> None:
    state = key_service.admin().ensure(name)
    assert (state.name, state.latest_version, state.never_exportable) == (name, 1, True)
    assert not state.deletion_allowed
    assert list(state.created_at) == [1]


def test_ensuring_twice_changes_nothing(key_service: Any, name: str) -> None:
    admin = key_service.admin()
    admin.ensure(name)
    admin.rotate(name)
    assert admin.ensure(name).latest_version == 2


def test_an_unknown_key_has_no_state(key_service: Any, name: str) -> None:
    assert key_service.admin().state(name) is None
    assert key_service.prober().state(name) is None


def test_what_is_encrypted_decrypts(key_service: Any, name: str) -> None:
    key_service.admin().ensure(name)
    key = key_service.tenant_key(name)
    ciphertext = key.encrypt(b"root")
    assert ciphertext.startswith("vault:v1:")
    assert key.decrypt(ciphertext) == b"root"


def test_encrypting_under_an_unknown_key_creates_nothing(key_service: Any, name: str) -> None:
    with pytest.raises(PermanentError):
        key_service.tenant_key(name).encrypt(b"root")
    assert key_service.admin().state(name) is None
    assert key_service.admin().upsert_disabled()


def test_another_tenants_key_does_not_decrypt(key_service: Any, name: str) -> None:
    key_service.admin().ensure(name)
    key_service.admin().ensure(f"{name}-other")
    ciphertext = key_service.tenant_key(name).encrypt(b"root")
    with pytest.raises(KeyDestroyedError):
        key_service.tenant_key(f"{name}-other").decrypt(ciphertext)
    assert key_service.prober().refused(f"{name}-other", ciphertext).reason == "not-authentic"


def test_a_rotated_key_encrypts_under_the_new_version_and_still_decrypts_the_old(key_service: Any, name: str) -> None:
    key_service.admin().ensure(name)
    key = key_service.tenant_key(name)
    old = key.encrypt(b"old")
    assert key_service.admin().rotate(name) == 2
    assert key.encrypt(b"new").startswith("vault:v2:")
    assert key.decrypt(old) == b"old"
    assert not key_service.prober().refused(name, old).refused


def test_rotating_an_unknown_key_says_that_it_is_missing(key_service: Any, name: str) -> None:
    with pytest.raises(KeyMissingError):
        key_service.admin().rotate(name)


def test_a_trimmed_version_is_refused_for_good(key_service: Any, name: str) -> None:
    admin, key = key_service.admin(), key_service.tenant_key(name)
    admin.ensure(name)
    old = key.encrypt(b"old")
    admin.rotate(name)
    new = key.encrypt(b"new")
    admin.raise_minimum(name, 2)
    with pytest.raises(KeyDestroyedError):
        key.decrypt(old)
    admin.trim(name, 2)
    refusal = key_service.prober().refused(name, old)
    assert (refusal.refused, refusal.reason) == (True, "too-old")
    assert key.decrypt(new) == b"new"
    state = admin.state(name)
    assert (state.min_decryption_version, state.min_encryption_version, state.min_available_version) == (2, 2, 2)
    assert list(state.created_at) == [2]


def test_minimums_and_trims_may_be_asked_for_again_and_are_never_lowered(key_service: Any, name: str) -> None:
    admin = key_service.admin()
    admin.ensure(name)
    admin.rotate(name)
    admin.rotate(name)
    for _ in range(2):
        admin.raise_minimum(name, 3)
        admin.trim(name, 3)
    admin.raise_minimum(name, 2)
    admin.trim(name, 2)
    state = admin.state(name)
    assert (state.min_decryption_version, state.min_encryption_version, state.min_available_version) == (3, 3, 3)


def test_trimming_above_the_minimums_is_refused(key_service: Any, name: str) -> None:
    admin = key_service.admin()
    admin.ensure(name)
    admin.rotate(name)
    with pytest.raises(KeyRefusedError):
        admin.trim(name, 2)


def test_a_minimum_above_the_newest_version_is_refused(key_service: Any, name: str) -> None:
    key_service.admin().ensure(name)
    with pytest.raises(KeyRefusedError):
        key_service.admin().raise_minimum(name, 2)


def test_a_destroyed_key_is_gone_and_may_be_destroyed_again(key_service: Any, name: str) -> None:
    admin = key_service.admin()
    admin.ensure(name)
    ciphertext = key_service.tenant_key(name).encrypt(b"root")
    admin.destroy(name)
    admin.destroy(name)
    assert admin.state(name) is None
    with pytest.raises(PermanentError):
        key_service.tenant_key(name).decrypt(ciphertext)
    assert key_service.prober().refused(name, ciphertext).reason == "key-missing"


def test_a_key_made_again_under_the_same_name_opens_nothing_of_the_old_one(key_service: Any, name: str) -> None:
    admin, key = key_service.admin(), key_service.tenant_key(name)
    admin.ensure(name)
    ciphertext = key.encrypt(b"root")
    admin.destroy(name)
    admin.ensure(name)
    with pytest.raises(KeyDestroyedError):
        key.decrypt(ciphertext)
    assert key_service.prober().refused(name, ciphertext).refused


def test_a_sealed_service_is_unavailable_and_nothing_is_refused_for_good(key_service: Any, name: str) -> None:
    key_service.admin().ensure(name)
    ciphertext = key_service.tenant_key(name).encrypt(b"root")
    key_service.seal()
    try:
        calls: tuple[Callable[[], object], ...] = (
            lambda: key_service.tenant_key(name).encrypt(b"x"),
            lambda: key_service.tenant_key(name).decrypt(ciphertext),
            lambda: key_service.admin().state(name),
            lambda: key_service.admin().rotate(name),
            lambda: key_service.prober().refused(name, ciphertext),
            lambda: key_service.signer().sign(b"x"),
        )
        for call in calls:
            with pytest.raises(KeysUnavailableError):
                call()
    finally:
        key_service.unseal()
    assert key_service.tenant_key(name).decrypt(ciphertext) == b"root"


def test_evidence_is_signed_with_the_published_key(key_service: Any) -> None:
    signer = key_service.signer()
    public = load_pem_public_key(signer.public_key().encode())
    assert isinstance(public, Ed25519PublicKey)
    signature = signer.sign(b"evidence")
    assert len(signature) == 64
    public.verify(signature, b"evidence")
    assert len(bytes.fromhex(signer.key_id)) == 32


def test_a_ciphertext_changed_by_one_bit_is_refused(key_service: Any, name: str) -> None:
    key_service.admin().ensure(name)
    scheme, version, body = key_service.tenant_key(name).encrypt(b"root").split(":")
    raw = bytearray(base64.b64decode(body))
    raw[-1] ^= 1
    changed = f"{scheme}:{version}:{base64.b64encode(bytes(raw)).decode()}"
    with pytest.raises(KeyDestroyedError):
        key_service.tenant_key(name).decrypt(changed)
