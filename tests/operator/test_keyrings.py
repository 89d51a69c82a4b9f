"""Vault's administration, for asyncio, with the operator's own errors."""

from __future__ import annotations

import pytest

from imagint_operator.errors import VaultRefusedError, VaultUnavailableError
from imagint_operator.keyrings import KeyRing, translated
from imagint_privacy import errors as privacy
from imagint_privacy.keys.fakes import FakeTransit


async def test_a_key_from_birth_to_destruction() -> None:
    ring = KeyRing(FakeTransit().admin())
    assert await ring.state("tenant-acme") is None
    assert (await ring.ensure("tenant-acme")).latest_version == 1
    await ring.rotate("tenant-acme")
    await ring.raise_minimum("tenant-acme", 2)
    trimmed = await ring.trim("tenant-acme", 2)
    assert trimmed is not None
    assert trimmed.min_available_version == 2
    await ring.destroy("tenant-acme")
    assert await ring.state("tenant-acme") is None


async def test_a_sealed_vault_is_unavailable() -> None:
    transit = FakeTransit()
    transit.sealed = True
    with pytest.raises(VaultUnavailableError):
        await KeyRing(transit.admin()).state("tenant-acme")


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        pytest.param(privacy.KeysUnavailableError("x"), VaultUnavailableError, id="silence"),
        pytest.param(privacy.KeyForbiddenError("x"), VaultRefusedError, id="no right"),
        pytest.param(privacy.KeyMissingError("x"), VaultRefusedError, id="no key"),
    ],
)
def test_each_error_of_vaults_has_ours(error: privacy.PrivacyError, kind: type[Exception]) -> None:
    assert isinstance(translated(error), kind)
