"""Start the prober: `python -m imagint_serving.prober`."""

from __future__ import annotations

import logging
import os
import secrets
import signal
import sys
import time
from datetime import UTC, datetime

import uvicorn

from imagint_privacy.vault import KeyProber, VaultSession
from imagint_serving.prober.application import build_application
from imagint_serving.prober.ending import TenantProber
from imagint_serving.prober.errors import ProberSettingsError
from imagint_serving.prober.gateways import HttpGateway
from imagint_serving.prober.probing import Prober, Surroundings
from imagint_serving.prober.settings import ProberSettings
from imagint_serving.prober.storage import ProbeStorage
from imagint_serving.traces import data_plane_tracing

CONNECTIONS = 64
VAULT_ROLE = "prober"


def main() -> int:
    """Serve until SIGTERM or SIGINT."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    # httpx logs every request's path, and a path of the privacy API holds a handle.
    for name in ("httpx", "httpcore"):
        logging.getLogger(name).setLevel(logging.WARNING)
    try:
        settings = ProberSettings.from_environment(os.environ)
    except ProberSettingsError as error:
        print(f"prober: {error}", file=sys.stderr)
        return 2
    session = VaultSession(settings.vault_address, VAULT_ROLE, settings.vault_token_file)
    gateway = HttpGateway(settings.serve_url, settings.dataplane_token_file, dedicated=settings.dedicated_serve_url)
    around = Surroundings(now=lambda: datetime.now(UTC), monotonic=time.monotonic, nonce=lambda: secrets.token_hex(32))
    for number in (signal.SIGTERM, signal.SIGINT):
        # uvicorn raises the signal again once it has drained: then, as before it listens, it means a clean end.
        signal.signal(number, lambda *_: sys.exit(0))
    tracing = data_plane_tracing("imagint-prober")
    parts = (KeyProber(session), gateway, ProbeStorage(settings.probes_folder), around)
    try:
        uvicorn.run(
            build_application(Prober(*parts), settings.platform_file, TenantProber(*parts), tracing=tracing),
            host=settings.host,
            port=settings.port,
            access_log=False,
            log_config=None,
            server_header=False,
            limit_concurrency=CONNECTIONS,
            timeout_keep_alive=15,
            timeout_graceful_shutdown=10,
        )
    finally:
        gateway.close()
        tracing.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
