"""The PostgreSQL server of our own: private, gone with whoever started it; and how its programs get here."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest

from imagint_dev.errors import BuildFailedError, StartFailedError
from imagint_dev.postgres import PostgresServer, programs


def test_what_is_committed_survives_the_kill_of_every_process(durable_postgres: PostgresServer) -> None:
    durable_postgres.create("kept")
    with durable_postgres.connect("kept") as connection:
        assert connection.execute("SHOW fsync").fetchone() == ("on",)
        connection.execute("CREATE TABLE t (n integer)")
        connection.execute("INSERT INTO t VALUES (7)")
        first = durable_postgres.pid
        durable_postgres.kill()
        assert durable_postgres.pid is None
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
    durable_postgres.start()
    assert durable_postgres.pid != first
    with durable_postgres.connect("kept") as connection:
        assert connection.execute("SELECT n FROM t").fetchall() == [(7,)]


def test_it_listens_on_no_network_and_nobody_else_reaches_its_socket(postgres: PostgresServer) -> None:
    with postgres.connect() as connection:
        assert connection.execute("SHOW listen_addresses").fetchone() == ("",)
    assert stat.S_IMODE(postgres.folder.stat().st_mode) == 0o700
    assert postgres.pid is not None
    assert Path(f"/proc/{postgres.pid}").stat().st_uid != 0


def test_a_database_made_from_a_template_is_a_copy_of_it(postgres: PostgresServer) -> None:
    postgres.create("template_here")
    with postgres.connect("template_here") as connection:
        connection.execute("CREATE TABLE t (n integer)")
    postgres.create("copy_here", template="template_here")
    with postgres.connect("copy_here") as connection:
        connection.execute("INSERT INTO t VALUES (1)")
    with postgres.connect("template_here") as connection:
        assert connection.execute("SELECT count(*) FROM t").fetchone() == (0,)
    for name in ("copy_here", "template_here"):
        postgres.drop(name)
    with pytest.raises(psycopg.OperationalError):
        postgres.connect("copy_here")


def test_the_log_repeats_no_row_and_no_statement(postgres: PostgresServer) -> None:
    with postgres.connect() as connection:
        connection.execute("CREATE TEMPORARY TABLE t (name text PRIMARY KEY)")
        connection.execute("INSERT INTO t VALUES (%s)", ("precious",))
        with pytest.raises(psycopg.errors.UniqueViolation):
            connection.execute("INSERT INTO t VALUES (%s)", ("precious",))
    logged = "\n".join(postgres.log_lines(50))
    assert "duplicate key" in logged
    assert "precious" not in logged


def test_it_ends_with_whoever_started_it(postgres: PostgresServer) -> None:
    script = (
        "import os, signal\n"
        "from imagint_dev.postgres import PostgresServer\n"
        "server = PostgresServer(settings={'fsync': 'off'})\n"
        "server.start()\n"
        "print(server.pid, server.folder, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=False)
    pid, folder = told.stdout.split()
    deadline = time.monotonic() + 30
    while Path(f"/proc/{pid}").exists():
        assert time.monotonic() < deadline, "the server outlived its starter"
        time.sleep(0.05)
    subprocess.run(["rm", "-rf", folder], check=True, timeout=30)


def test_a_setting_it_does_not_know_is_told_and_nothing_is_left(postgres: PostgresServer) -> None:
    server = PostgresServer(settings={"no_such_setting": "1"})
    with pytest.raises(StartFailedError, match="no_such_setting"), server:
        pass
    assert not server.folder.exists()


# -- getting the programs --------------------------------------------------------------------------------------------


@pytest.fixture
def bare_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine of ours without PostgreSQL, whose apt-get notes what it is asked and does as `apt-get.sh` says."""
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(programs, "_DEBIAN", tmp_path / "lib")
    monkeypatch.setattr(programs, "_CLUSTER_RULES", tmp_path / "rules")
    monkeypatch.setattr(programs, "cache_root", lambda: tmp_path / "cache")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    return tmp_path


def _apt(machine: Path, install: str) -> None:
    file = machine / "bin" / "apt-get"
    file.write_text(f'#!/bin/sh\ncd {machine}\necho "$@" >> asked\ncase "$*" in *install*) {install};; esac\n')
    file.chmod(0o755)


def test_missing_programs_are_installed_and_the_package_starts_no_cluster(bare_machine: Path) -> None:
    install = "cat rules/* > rule; mkdir -p lib/15/bin; "
    for name in ("postgres", "initdb"):
        install += f"printf '#!/bin/sh\\necho \"postgres (PostgreSQL) 15.1\"' > lib/15/bin/{name}; "
    _apt(bare_machine, install + "chmod 755 lib/15/bin/*")
    said: list[str] = []
    found = programs.ensure(said.append)
    assert (found.version, found.initdb) == (15, bare_machine / "lib" / "15" / "bin" / "initdb")
    assert (bare_machine / "rule").read_text() == "create_main_cluster = false\n"
    assert list((bare_machine / "rules").iterdir()) == []
    assert len(said) == 1
    asked = (bare_machine / "asked").read_text().splitlines()
    assert [line.split()[3] for line in asked] == ["update", "install"]
    assert programs.ensure(said.append) == found
    assert (bare_machine / "asked").read_text().splitlines() == asked


@pytest.mark.parametrize(
    ("install", "told"),
    [("echo no room left >&2; exit 100", "no room left"), ("true", "no server that is new enough")],
    ids=["apt-get fails", "the package holds no server"],
)
def test_an_installation_that_fails_says_why(bare_machine: Path, install: str, told: str) -> None:
    _apt(bare_machine, install)
    with pytest.raises(BuildFailedError, match=told):
        programs.ensure(lambda _: None)
    assert list((bare_machine / "rules").iterdir()) == []


def test_whoever_is_not_root_is_told_what_to_install(bare_machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _apt(bare_machine, "true")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(BuildFailedError, match="install the postgresql package"):
        programs.ensure(lambda _: None)
    assert not (bare_machine / "asked").exists()
