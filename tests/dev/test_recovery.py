"""Killing one part after the other: each comes back by itself, with its data."""

from __future__ import annotations

import base64
import time

import pytest

from imagint_dev.errors import RefusedError, RetryableError
from imagint_dev.stack import Stack
from imagint_dev.vaults import VaultServer

pytestmark = pytest.mark.stack

PLAIN = base64.b64encode(b"kept").decode()


def decrypts(stack: Stack, ciphertext: str) -> bool:
    vault = stack.vault_as("dataplane", "tenant-acme", "imagint-dataplane")
    answer = vault.call("POST", "transit/decrypt/tenant-acme", {"ciphertext": ciphertext})
    return bool(answer["data"]["plaintext"] == PLAIN)


@pytest.fixture
def ciphertext(tenants: Stack) -> str:
    vault = tenants.vault_as("dataplane", "tenant-acme", "imagint-dataplane")
    answer = vault.call("POST", "transit/encrypt/tenant-acme", {"plaintext": PLAIN})
    return str(answer["data"]["ciphertext"])


@pytest.mark.parametrize("part", ["vault", "controller-manager", "apiserver", "etcd"])
def test_a_killed_part_comes_back_with_its_data(tenants: Stack, ciphertext: str, part: str) -> None:
    before = tenants.restarts(part)
    tenants.kill(part)
    tenants.wait_ready(timeout=40)
    assert tenants.restarts(part) == before + 1
    assert "tenant-acme" in tenants.kubectl("get", "ns", "-o", "name")
    assert decrypts(tenants, ciphertext)


def test_a_sealed_vault_stays_sealed_until_it_may_open_again(tenants: Stack, ciphertext: str) -> None:
    tenants.seal()
    try:
        vault = VaultServer(tenants.url("vault"), "any-token")
        with pytest.raises(RetryableError, match="503"):
            vault.call("POST", "transit/decrypt/tenant-acme", {"ciphertext": ciphertext})
    finally:
        tenants.unseal()
    assert decrypts(tenants, ciphertext)


def test_a_paused_part_is_not_ready_and_goes_on_later(tenants: Stack) -> None:
    tenants.pause("controller-manager")
    try:
        deadline = time.monotonic() + 15
        while tenants.is_ready("controller-manager") and time.monotonic() < deadline:
            time.sleep(0.1)
        assert not tenants.is_ready("controller-manager")
    finally:
        tenants.resume("controller-manager")
    tenants.wait_ready("controller-manager", timeout=15)
    assert tenants.restarts("controller-manager") <= 1


def test_a_root_token_can_be_made_only_with_the_unseal_key(tenants: Stack) -> None:
    wrong = base64.b64encode(bytes(32)).decode()
    with pytest.raises((RefusedError, RetryableError)):
        VaultServer(tenants.url("vault")).new_root_token(wrong)
