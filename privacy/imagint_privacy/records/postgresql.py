"""What only PostgreSQL needs: its driver, a bound on every wait, and clearing away what was deleted.

Read only with the extra `postgres` installed. It must not know any table.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, Final, TypeVar

import psycopg
from psycopg.abc import PQGen
from sqlalchemy import URL, Connection, Engine, create_engine, event, text

_CONNECT_SECONDS: Final = 10
_STATEMENT_SECONDS: Final = 30
_LOCK_SECONDS: Final = 10
_IDLE_SECONDS: Final = 120
_CLEARING_SECONDS: Final = 600
_READERS_SECONDS: Final = 1.0
_MARGIN_SECONDS: Final = 15
_OPTIONS: Final = (
    f"-c statement_timeout={_STATEMENT_SECONDS}s"
    f" -c lock_timeout={_LOCK_SECONDS}s"
    f" -c idle_in_transaction_session_timeout={_IDLE_SECONDS}s"
)
_SOCKET: Final = {
    "connect_timeout": _CONNECT_SECONDS,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
}
_HORIZON: Final = text(
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    " AND backend_xmin IS NOT NULL AND age(backend_xmin) > age(CAST(CAST(:newest AS text) AS xid))"
)
_TICK_SECONDS: Final = 0.1
T = TypeVar("T")


class BoundedConnection(psycopg.Connection[Any]):
    """A connection that gives up on a server which says nothing: the server's own limits bind only while it runs."""

    patience: float = _STATEMENT_SECONDS + _MARGIN_SECONDS

    def wait(self, gen: PQGen[T], interval: float = _TICK_SECONDS, timeout: float | None = None) -> T:
        """Wait for the server as the driver does, but not for ever; then hang up.

        Raises:
            OperationalError: the server does not answer.
        """
        if timeout is not None:
            return super().wait(gen, interval, timeout)
        try:
            return super().wait(gen, interval, self.patience)
        except psycopg.errors._WaitTimeout:
            self.close()
            raise psycopg.OperationalError("the server does not answer") from None


def engine(address: URL) -> Engine:
    """Prepare an engine whose every wait is bounded; nothing is opened yet.

    Transactions are READ COMMITTED: every write that depends on what it read holds a row or advisory lock by then, and
    a statement that waited for one sees what the other wrote. SERIALIZABLE would turn each such wait into a failure.
    """
    address = address.set(drivername="postgresql+psycopg")
    if "options" not in address.query:
        address = address.update_query_dict({"options": _OPTIONS})
    made = create_engine(
        address,
        hide_parameters=True,
        isolation_level="READ COMMITTED",
        pool_pre_ping=True,
        pool_timeout=_LOCK_SECONDS,
        pool_size=5,
        max_overflow=5,
        connect_args=dict(_SOCKET),
    )

    @event.listens_for(made, "do_connect")
    def _connect(_dialect: object, _record: object, given: Sequence[Any], named: dict[str, Any]) -> BoundedConnection:
        return BoundedConnection.connect(*given, **named)

    @event.listens_for(made, "checkout")
    def _lent(connection: BoundedConnection, _record: object, _proxy: object) -> None:
        connection.patience = BoundedConnection.patience

    return made


def take_time(connection: Connection) -> None:
    """Let this transaction's statements take as long as a change of a big table's shape does."""
    connection.execute(text(f"SET LOCAL statement_timeout = '{_CLEARING_SECONDS}s'"))
    driver: Any = connection.connection.driver_connection
    driver.patience = _CLEARING_SECONDS + _MARGIN_SECONDS


def clear(engine: Engine, tables: Sequence[str]) -> bool:
    """Vacuum tables; say whether no session may still see what was deleted from them before.

    This ends what SQL can reach. The bytes in the files are overwritten when their space is used again.
    """
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        newest = connection.execute(text("SELECT pg_snapshot_xmax(pg_current_snapshot())")).scalar_one()
        connection.execute(text(f"SET statement_timeout = '{_CLEARING_SECONDS}s'"))
        driver: Any = connection.connection.driver_connection
        driver.patience = _CLEARING_SECONDS + _MARGIN_SECONDS
        try:
            seeing = _wait_for_readers(connection, str(int(newest) % (1 << 32)))
            if not seeing:
                for table in tables:
                    connection.execute(text(f"VACUUM {connection.dialect.identifier_preparer.quote(table)}"))
        finally:
            # Its limits are raised: the pool makes a new one.
            connection.invalidate()
    return not seeing


def _wait_for_readers(connection: Connection, newest: str) -> int:
    """Give the transactions of this moment time to end; return how many have not, which may see what was deleted."""
    deadline = time.monotonic() + _READERS_SECONDS
    while (seeing := connection.execute(_HORIZON, {"newest": newest}).scalar_one()) and time.monotonic() < deadline:
        time.sleep(_TICK_SECONDS / 5)
    return int(seeing)
