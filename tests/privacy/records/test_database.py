"""One database, on SQLite and PostgreSQL: what transactions see, whom they wait for and how long, what errors say."""

from __future__ import annotations

import builtins
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, func, insert, select, text, update
from sqlalchemy.exc import IntegrityError

from imagint_dev.postgres import PostgresServer
from imagint_privacy.errors import StorageUnavailableError
from imagint_privacy.records import migrating
from imagint_privacy.records.database import Database, Lock, hold
from imagint_privacy.records.schema import LIBRARY, RECORDS, TREE_NODES

ROW = {"digest": b"d" * 32, "sealed": b"sealed", "born": 1}


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    postgresql = request.param == "postgresql"
    made = Database(request.getfixturevalue("new_database")() if postgresql else f"sqlite:///{tmp_path}/records.db")
    with made.write() as connection:
        migrating.migrate(connection)
    yield made
    made.close()


only_postgresql = pytest.mark.parametrize("database", ["postgresql"], indirect=True)


def hurried(database: Database) -> Database:
    """The same database, with less patience."""
    address = database.engine.url.set(drivername="postgresql").update_query_dict(
        {"options": "-c lock_timeout=200ms -c statement_timeout=400ms"}
    )
    return Database(address.render_as_string(hide_password=False))


# -- what transactions see -------------------------------------------------------------------------------------------


def test_a_read_sees_one_moment_whatever_is_written_meanwhile(database: Database) -> None:
    count = select(func.count()).select_from(TREE_NODES)
    with database.read() as reading:
        assert reading.execute(count).scalar_one() == 0
        with database.write() as writing:
            writing.execute(insert(TREE_NODES).values(ROW))
        assert reading.execute(count).scalar_one() == 0
    with database.read() as reading:
        assert reading.execute(count).scalar_one() == 1


def test_a_write_that_raises_changes_nothing(database: Database) -> None:
    with pytest.raises(RuntimeError), database.write() as writing:  # noqa: PT012
        writing.execute(insert(TREE_NODES).values(ROW))
        raise RuntimeError("no")
    with database.read() as reading:
        assert reading.execute(select(TREE_NODES)).all() == []


@only_postgresql
def test_a_read_cannot_write(database: Database) -> None:
    with pytest.raises(StorageUnavailableError, match="25006"), database.read() as reading:
        reading.execute(insert(TREE_NODES).values(ROW))


@only_postgresql
@pytest.mark.parametrize("default", ["read committed", "serializable"])
def test_the_servers_own_defaults_do_not_matter(database: Database, default: str, postgres: PostgresServer) -> None:
    name = database.engine.url.database
    with postgres.connect() as admin:
        admin.execute(f"ALTER DATABASE {name} SET default_transaction_isolation = '{default}'".encode())
    again = Database(postgres.url(str(name)))
    with again.write() as writing:
        assert writing.execute(text("SHOW transaction_isolation")).scalar_one() == "read committed"
    with again.read() as reading:
        assert reading.execute(text("SHOW transaction_isolation")).scalar_one() == "repeatable read"
    again.close()


# -- waiting ---------------------------------------------------------------------------------------------------------


def in_a_thread(work: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=work)
    thread.start()
    return thread


@only_postgresql
def test_shared_holders_do_not_starve_who_wants_a_lock_alone(database: Database, postgres: PostgresServer) -> None:
    order: list[str] = []

    def take(name: str, exclusive: bool) -> None:
        with database.write() as connection:
            hold(connection, Lock.FENCES, exclusive=exclusive)
            order.append(name)

    def waiting() -> int:
        with postgres.connect(str(database.engine.url.database)) as admin:
            query = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
            (count,) = admin.execute(query).fetchone() or (0,)
        return int(count)

    with database.write() as connection:
        hold(connection, Lock.FENCES, exclusive=False)
        threads = [in_a_thread(lambda: take("fence", True))]
        while waiting() < 1:
            time.sleep(0.01)
        threads.append(in_a_thread(lambda: take("late writer", False)))
        while waiting() < 2:
            time.sleep(0.01)
    for thread in threads:
        thread.join()
    assert order == ["fence", "late writer"]


@only_postgresql
def test_who_waited_for_a_lock_sees_what_its_holder_wrote(database: Database) -> None:
    seen: list[int] = []

    def look() -> None:
        with database.write() as connection:
            connection.execute(select(LIBRARY.c.id)).all()
            hold(connection, Lock.FENCES, exclusive=False)
            seen.append(connection.execute(select(func.count()).select_from(TREE_NODES)).scalar_one())

    with database.write() as connection:
        hold(connection, Lock.FENCES, exclusive=True)
        thread = in_a_thread(look)
        connection.execute(insert(TREE_NODES).values(ROW))
    thread.join()
    assert seen == [1]


@only_postgresql
@pytest.mark.parametrize("wait", ["a row", "a lock", "a slow statement"])
def test_every_wait_for_the_server_is_bounded(database: Database, wait: str) -> None:
    impatient = hurried(database)
    change = update(TREE_NODES).values(born=2)
    with database.write() as connection:
        connection.execute(insert(TREE_NODES).values(ROW))
    with database.write() as connection:
        connection.execute(change)
        hold(connection, Lock.FENCES, exclusive=True)
        with pytest.raises(StorageUnavailableError, match=r"55P03|57014"), impatient.write() as other:  # noqa: PT012
            if wait == "a row":
                other.execute(change)
            elif wait == "a lock":
                hold(other, Lock.FENCES, exclusive=False)
            else:
                other.execute(text("SELECT pg_sleep(60)"))
    with impatient.write() as other:
        other.execute(change)
    impatient.close()


@only_postgresql
def test_a_server_that_says_nothing_any_more_is_hung_up_on(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    stopped: list[int] = []

    def ask_a_stopped_server() -> None:
        with database.read() as connection:
            driver: Any = connection.connection.driver_connection
            assert driver.patience < 60, "as lent"
            driver.patience = 0.3
            stopped.append(driver.info.backend_pid)
            os.kill(stopped[0], signal.SIGSTOP)
            connection.execute(select(TREE_NODES)).all()

    try:
        with pytest.raises(StorageUnavailableError, match="does not answer"):
            ask_a_stopped_server()
    finally:
        os.kill(stopped[0], signal.SIGCONT)
    with database.read() as connection:
        assert connection.execute(select(TREE_NODES)).all() == []


def test_a_server_that_is_not_there_is_unavailable(tmp_path: Path) -> None:
    database = Database(f"postgresql://somebody@/nothing?host={tmp_path}")
    with pytest.raises(StorageUnavailableError) as refused, database.read():
        pass
    assert str(tmp_path) not in str(refused.value)
    assert refused.value.after <= 5
    database.close()


# -- what errors say -------------------------------------------------------------------------------------------------


def test_an_error_names_no_row(database: Database) -> None:
    digest = b"precious secret".ljust(32)
    statement = insert(TREE_NODES).values({**ROW, "digest": digest})
    with database.write() as connection:
        connection.execute(statement)
    with pytest.raises(IntegrityError) as taken, database.write() as connection:
        connection.execute(statement)
    with pytest.raises(StorageUnavailableError) as refused, database.read() as connection:
        connection.execute(text("SELECT CAST('precious secret' AS integer) + nothing FROM precious"))
    for error in (taken.value, refused.value):
        told = f"{error} {error!r} {error.args} {error.__cause__}"
        assert "precious" not in told
        assert digest.hex() not in told


def test_without_the_driver_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    imported = builtins.__import__

    def missing(name: str, *given: Any) -> Any:
        if name.startswith("psycopg"):
            raise ImportError(name)
        return imported(name, *given)

    monkeypatch.delitem(sys.modules, "imagint_privacy.records.postgresql", raising=False)
    monkeypatch.delattr("imagint_privacy.records.postgresql", raising=False)
    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(StorageUnavailableError, match=r"imagint\[postgres\]"):
        Database("postgresql://somebody@/nothing")


# -- what is left of deleted rows ------------------------------------------------------------------------------------


def _dead_rows(database: Database, postgres: PostgresServer, table: str) -> int:
    """Row versions in the table's pages that no transaction can see any more, as the server counts them itself."""
    with postgres.connect(str(database.engine.url.database)) as admin:
        admin.execute(b"CREATE EXTENSION IF NOT EXISTS pgstattuple")
        (dead,) = admin.execute("SELECT dead_tuple_count FROM pgstattuple(%s)", (table,)).fetchone() or (0,)
    return int(dead)


def _deleted(database: Database) -> None:
    with database.write() as connection:
        connection.execute(insert(TREE_NODES), [{**ROW, "digest": b"%032d" % number} for number in range(50)])
    with database.write() as connection:
        connection.execute(delete(TREE_NODES).where(TREE_NODES.c.digest > b"%032d" % 10))


@only_postgresql
def test_what_was_deleted_is_out_of_reach_after_the_wipe(database: Database, postgres: PostgresServer) -> None:
    _deleted(database)
    assert _dead_rows(database, postgres, "tree_nodes") == 39
    assert database.wipe_log([TREE_NODES.name, RECORDS.name])
    assert _dead_rows(database, postgres, "tree_nodes") == 0
    with database.read() as connection:
        assert connection.execute(select(func.count()).select_from(TREE_NODES)).scalar_one() == 11


@only_postgresql
def test_a_reader_who_may_still_see_it_delays_the_wipe(database: Database, postgres: PostgresServer) -> None:
    with database.read() as reading:
        reading.execute(select(LIBRARY)).all()
        _deleted(database)
        assert not database.wipe_log([TREE_NODES.name])
    assert database.wipe_log([TREE_NODES.name])
    assert _dead_rows(database, postgres, "tree_nodes") == 0


@only_postgresql
def test_short_transactions_that_never_cease_do_not_delay_the_wipe_for_ever(database: Database) -> None:
    over = threading.Event()

    def keep_writing(number: int) -> None:
        for turn in range(10_000):
            if over.is_set():
                return
            with database.write() as connection:
                connection.execute(insert(TREE_NODES).values({**ROW, "digest": b"%016d%016d" % (number, turn)}))

    threads = [in_a_thread(lambda number=number: keep_writing(number)) for number in range(3)]  # type: ignore[misc]
    try:
        assert [database.wipe_log([TREE_NODES.name]) for _ in range(5)] == [True] * 5
    finally:
        over.set()
        for thread in threads:
            thread.join()
