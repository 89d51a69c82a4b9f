"""The Gateway as a Ray Serve deployment: with `generators`, the only module of this package that knows Ray.

Runs in two of Serve's processes: `build` in a short-lived one that reads the configuration, `Gateway` in each replica.
What only a replica needs is imported by the replica, so that a tenant is not kept waiting twice for the same imports.
The access log is off: paths hold image ids and handles.
"""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Any

from ray import serve
from ray.serve import Application
from ray.serve.schema import LoggingConfig

from imagint_serving.config import GatewayConfig, GatewaySettings

if TYPE_CHECKING:
    from fastapi import FastAPI

MAX_ONGOING_REQUESTS = 256
# Without one of these the proxy and the replicas exchange bodies over 100 KiB as Ray objects, in the clear.
GRPC_SWITCHES = ("RAY_SERVE_PROXY_USE_GRPC", "RAY_SERVE_USE_GRPC_BY_DEFAULT")

_log = logging.getLogger("ray.serve.imagint.gateway")


class Gateway:
    """One replica of one tenant's Gateway."""

    def __init__(self, config: GatewayConfig) -> None:
        from imagint_serving.gateway.starting import make_services

        if not any(os.environ.get(name) == "1" for name in GRPC_SWITCHES):
            _log.warning("Serve moves large bodies through shared memory: set %s=1", GRPC_SWITCHES[0])
        self._services = make_services(config, serve.get_replica_context().replica_id.unique_id)

    def __serve_build_asgi_app__(self) -> FastAPI:
        """Return the application; called by Serve after the constructor."""
        from imagint_serving.gateway.application import build_application
        from imagint_serving.traces import data_plane_tracing

        return build_application(self._services, echo_id=False, tracing=data_plane_tracing("imagint-gateway"))

    def reconfigure(self, user_config: dict[str, Any]) -> None:
        """Take new settings over while running; called by Serve."""
        self._services.reconfigure(GatewaySettings.model_validate(user_config))


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
