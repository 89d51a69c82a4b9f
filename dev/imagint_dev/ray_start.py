"""Ray calls `settle` just before `ray start` makes its processes (RAY_START_HOOK).

It must stay free of imports: it runs inside `ray start`.
"""

from __future__ import annotations

from typing import Any


def settle(parameters: Any, head: bool) -> None:
    """Keeps Ray on the loopback address, and leaves out the Ray Client server: a door that nobody here uses."""
    parameters.node_ip_address = "127.0.0.1"
    parameters.node_name = "imagint"
    parameters.ray_client_server_port = None
