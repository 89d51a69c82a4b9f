"""Bringing a Gateway up inside its replica: the real library, the real Generators, the handed-over files."""

from __future__ import annotations

from pathlib import Path

from imagint_privacy.records.library import Library, StorageSettings
from imagint_privacy.vault import TenantKey, VaultSession
from imagint_serving.config import GatewayConfig
from imagint_serving.gateway.generators import ServeGenerators
from imagint_serving.gateway.identity import ApiKeys, PlatformCallers
from imagint_serving.gateway.keeping import LibraryKeeper
from imagint_serving.gateway.services import Services

VAULT_TIMEOUT_SECONDS = 5.0


def make_services(config: GatewayConfig, replica: str) -> Services:
    """Return what one replica works with; reaches for nothing yet."""
    handover = Path(config.handover)
    return Services(
        config=config,
        api_keys=ApiKeys(handover / "api-keys.json"),
        platform=PlatformCallers(Path(config.platform)),
        keeper=LibraryKeeper(lambda: open_library(config, replica)),
        generators=ServeGenerators(),
    )


def open_library(config: GatewayConfig, replica: str) -> Library:
    """Log in to Vault and open the tenant's library (blocking).

    Raises:
        PrivacyError: keys or storage cannot be reached yet.
    """
    session = VaultSession(
        config.vault.address,
        config.vault.role,
        Path(config.handover) / "vault-token",
        auth_mount=config.vault.auth_mount,
        timeout=VAULT_TIMEOUT_SECONDS,
    )
    storage = StorageSettings(config.storage.database, config.storage.objects, config.storage.tree_copies)
    return Library.open(
        config.tenant,
        storage,
        TenantKey(session, config.vault.key, mount=config.vault.mount),
        key_name=config.vault.key,
        replica=replica,
        cache_seconds=config.cache_seconds,
    )
