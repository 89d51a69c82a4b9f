"""The Gateway as a Ray Serve deployment: the only module of this package that knows Ray.

Runs in Serve's processes: `build` in the one that reads the configuration, `Gateway` in each replica. Its access log
is off: paths hold image ids and handles.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from ray import serve
from ray.serve import Application
from ray.serve.schema import LoggingConfig

from imagint_privacy.records.library import Library, StorageSettings
from imagint_privacy.vault import TenantKey, VaultSession
from imagint_serving.config import GatewayConfig, GatewaySettings
from imagint_serving.gateway.application import build_application
from imagint_serving.gateway.generators import ServeGenerators
from imagint_serving.gateway.identity import ApiKeys, PlatformCallers
from imagint_serving.gateway.keeping import LibraryKeeper
from imagint_serving.gateway.services import Services

MAX_ONGOING_REQUESTS = 256
VAULT_TIMEOUT_SECONDS = 5.0
# Without one of these the proxy and the replicas exchange bodies over 100 KiB as Ray objects, in the clear.
GRPC_SWITCHES = ("RAY_SERVE_PROXY_USE_GRPC", "RAY_SERVE_USE_GRPC_BY_DEFAULT")

_log = logging.getLogger("ray.serve.imagint.gateway")


class Gateway:
    """One replica of one tenant's Gateway."""

    def __init__(self, config: GatewayConfig) -> None:
        if not any(os.environ.get(name) == "1" for name in GRPC_SWITCHES):
            _log.warning("Serve moves large bodies through shared memory: set %s=1", GRPC_SWITCHES[0])
        handover = Path(config.handover)
        replica = serve.get_replica_context().replica_id.unique_id
        self._services = Services(
            config=config,
            api_keys=ApiKeys(handover / "api-keys.json"),
            platform=PlatformCallers(Path(config.platform)),
            keeper=LibraryKeeper(lambda: open_library(config, replica)),
            generators=ServeGenerators(),
        )

    def __serve_build_asgi_app__(self) -> FastAPI:
        """Return the application; called by Serve after the constructor."""
        return build_application(self._services, echo_id=False)

    def reconfigure(self, user_config: dict[str, Any]) -> None:
        """Take new settings over while running; called by Serve."""
        self._services.reconfigure(GatewaySettings.model_validate(user_config))


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


def build(config: GatewayConfig) -> Application:
    """Return the Serve application `<tenant>.gateway`."""
    deployment = serve.deployment(
        serve.ingress()(Gateway),
        name="Gateway",
        num_replicas=1,
        # Waiting and small cryptography: a Gateway must not take a core away from the models.
        ray_actor_options={"num_cpus": 0},
        max_ongoing_requests=MAX_ONGOING_REQUESTS,
        logging_config=LoggingConfig(enable_access_log=False),
    )
    return deployment.bind(config)
