"""A PostgreSQL server of our own, for tests and measurements: found or installed, started, killed, stopped.

It must never touch a server or a cluster that it did not make itself.
"""

from imagint_dev.postgres.programs import Programs, ensure, find
from imagint_dev.postgres.server import PostgresServer

__all__ = ["PostgresServer", "Programs", "ensure", "find"]
