"""Choosing free ports on 127.0.0.1.

They are chosen once per state folder and kept, below the range from which the kernel takes ports for outgoing
connections, so that a stack that is started again finds them free. A port that somebody took meanwhile is replaced.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable, Mapping
from random import Random

NAMES = (
    "etcd",
    "etcd_peer",
    "api",
    "controller_manager",
    "vault",
    "ray_gcs",
    "ray_dashboard",
    "ray_agent",
    "serve",
    "prober",
    "operator_metrics",
)
LOWEST, HIGHEST = 20000, 32000


def is_free(port: int) -> bool:
    """Whether a server could listen on the port at 127.0.0.1 now, and nobody does on all addresses."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def choose(
    kept: Mapping[str, int], random: Random, free: Callable[[int], bool] = is_free, names: Iterable[str] = NAMES
) -> dict[str, int]:
    """A port for every name: the one kept from before where it is still free, else a new one."""
    chosen = {name: port for name, port in kept.items() if name in set(names) and free(port)}
    for name in names:
        while name not in chosen:
            port = random.randrange(LOWEST, HIGHEST)
            if port not in chosen.values() and free(port):
                chosen[name] = port
    return chosen
