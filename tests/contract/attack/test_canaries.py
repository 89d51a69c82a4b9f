"""Proof by attack, second part: no file ever holds a secret, and after forgetting none can be won from all of them.

One whole life is lived on a real Vault, with its audit log, with everything of ours logged at DEBUG. Core dumps and
shared memory are not looked at.
"""

from __future__ import annotations

import json
import logging
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.contract.attack.attacking import Attacker, Loot
from tests.contract.attack.hunting import Hunter, files
from tests.contract.attack.living import KEY, Life
from tests.contract.conftest import RealVault

from imagint_privacy.keys.ports import TreeChange
from imagint_privacy.purposes import Purpose
from imagint_privacy.records.bindings import key_id
from imagint_privacy.records.nodes import SqlTreeStore

CROWD = 60


@dataclass
class Lived:
    """What is left of a life."""

    life: Life
    folders: list[Path]
    before: Attacker
    after: Attacker
    forgotten: set[bytes]
    outcomes: dict[str, str]


@pytest.fixture(scope="module")
def logged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Log everything of everybody at DEBUG, warnings and tracebacks too, and keep temporary files in sight."""
    folder = tmp_path_factory.mktemp("logs")
    handler = logging.FileHandler(folder / "everything.log")
    handler.setFormatter(logging.Formatter("%(asctime)s %(name)s %(levelname)s %(message)s"))
    root, where = logging.getLogger(), tempfile.tempdir
    levels = {logger: logger.level for logger in (root, logging.getLogger("sqlalchemy"))}
    root.addHandler(handler)
    for logger in levels:
        logger.setLevel(logging.DEBUG)
    logging.captureWarnings(True)
    tempfile.tempdir = str(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(folder))
        patch.setenv("SQLITE_TMPDIR", str(folder))
        yield folder / "everything.log"
    tempfile.tempdir = where
    logging.captureWarnings(False)
    for logger, level in levels.items():
        logger.setLevel(level)
    root.removeHandler(handler)
    handler.close()


@pytest.fixture(scope="module")
def ever() -> Iterator[Loot]:
    """Note every node and every root ever committed, also those that are gone from the files by the next step."""
    seen, commit = Loot(), SqlTreeStore.commit

    def committing(store: SqlTreeStore, change: TreeChange, alongside: Any = None) -> None:
        seen.nodes |= set(change.fresh.values())
        seen.roots.add((change.root.generation, change.root.wrapped, change.root.digest))
        commit(store, change, alongside)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SqlTreeStore, "commit", committing)
        yield seen


@pytest.fixture(scope="module")
def lived(vault_binary: Path, logged: Path, ever: Loot, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lived]:
    """Live the life."""
    vault_folder, folder = tmp_path_factory.mktemp("vault"), tmp_path_factory.mktemp("life")
    vault = RealVault(vault_binary, vault_folder, "-log-level", "trace")
    try:
        options = {"file_path": str(vault_folder / "audit.log"), "mode": "0600"}
        vault.http("PUT", "sys/audit/file", {"type": "file", "options": options})
        life = Life(vault, folder)
        for person in ("ann", "bob", "carol"):
            life.keep(person)
            life.read(person)
        life.crowd(CROWD)
        life.library.copy_tree()
        life.back_up("before")
        life.step("kept")
        before = Attacker(vault.session(), KEY, Loot().gather([folder])).attack()
        life.misuse()
        life.tamper()
        life.lose_vault()
        life.library.delete(life.handles["carol"], "gen-carol-1", Purpose.DELIVER)
        forgotten = life.keys_of("ann", "images", "prompts") | life.keys_of("carol", "images")
        life.erase("ann", "req-1")
        life.restart()
        life.keep("ann", 2)
        life.read("ann", 2)
        life.step("returned")
        life.erase("carol", "req-2", ("images",))
        life.read("bob")
        life.back_up("after")
        outcomes = life.restored("before")
        life.library.close()
        on_disk = Loot().gather([folder])
        assert on_disk.nodes < ever.nodes
        after = Attacker(vault.session(), KEY, ever.gather([folder])).attack()
        yield Lived(life, [folder, vault_folder, logged.parent], before, after, forgotten, outcomes)
    finally:
        vault.stop()


def test_the_attacker_can_do_what_is_claimed_before_anything_is_forgotten(lived: Lived) -> None:
    """An attacker who finds nothing at the end means nothing unless the same one finds everything at the beginning."""
    assert lived.before.data_keys >= lived.forgotten
    assert len(lived.before.node_keys) >= 2
    assert len(list(lived.before.opened())) == 9 + CROWD


def test_no_forgotten_key_can_be_won_from_every_file_ever_written_and_all_rights_in_vault(lived: Lived) -> None:
    survivors = lived.life.keys_of("bob", "images", "prompts") | lived.life.keys_of("carol", "prompts")
    returned = lived.life.keys_of("ann", "images", "prompts") - lived.forgotten
    assert len(returned) == 2
    assert len(lived.after.loot.roots) > CROWD
    assert lived.after.data_keys >= survivors | returned
    assert not lived.after.data_keys & lived.forgotten


def test_no_sealed_record_of_the_forgotten_opens_though_the_attacker_has_them_all(lived: Lived) -> None:
    gone = {key_id(key) for key in lived.forgotten}
    assert len([sealed for sealed in lived.after.loot.records if sealed[1:9] in gone]) >= 5
    opened = list(lived.after.opened())
    assert opened
    assert not [sealed for sealed in opened if sealed[1:9] in gone]


def test_a_restored_backup_opens_for_the_survivors_alone(lived: Lived) -> None:
    gone = {"gen-ann-1", "img-ann-1", "big-ann-1", "img-carol-1", "big-carol-1"}
    assert {name for name, outcome in lived.outcomes.items() if outcome == "KeyDestroyed"} == gone
    assert {name for name, outcome in lived.outcomes.items() if outcome == "Opens"} == lived.outcomes.keys() - gone


def test_no_file_holds_content_an_identifier_or_a_key_in_any_dress(lived: Lived) -> None:
    """Database, log of it, objects, copies, backups, temporary files, our logs, Vault's storage, log and audit log."""
    named = lived.life.secrets | {
        f"key {number} of {where}": key
        for where, keys in lived.life.keys.items()
        for number, key in enumerate(sorted(keys))
    }
    assert len(named) > 200
    searched = {path.name for path in files(lived.folders)}
    assert {"records.db", "records.db-wal", "records.db-shm", "everything.log", "vault.log", "audit.log"} <= searched
    assert len(searched) > 50
    assert not Hunter(named).hunt(lived.folders)


def test_the_logs_were_not_silent(lived: Lived) -> None:
    """What is searched for secrets must be where they would be: statements, calls, tracebacks."""
    logs = {path.name: path.read_text(errors="replace") for path in files(lived.folders) if path.suffix == ".log"}
    ours = logs["everything.log"]
    signs = ("Traceback", "INSERT INTO records", "sqlalchemy.engine", "urllib3", "RecordTamperedError", "Row (")
    assert [sign for sign in signs if sign not in ours] == []
    assert KEY in logs["audit.log"]


def test_a_secret_that_is_planted_where_the_program_writes_is_found(lived: Lived, tmp_path: Path) -> None:
    """The same hunt, on copies in which one secret each stands where it should not."""
    secret = lived.life.secrets["content of gen-ann-1"]
    for name in ("records.db", "records.db-wal", "everything.log", "audit.log"):
        path = next(path for path in files(lived.folders) if path.name == name)
        raw = path.read_bytes()
        (tmp_path / name).write_bytes(raw[: len(raw) // 2] + secret + raw[len(raw) // 2 + len(secret) :])
    found = Hunter(lived.life.secrets).hunt([tmp_path])
    assert found.keys() == {"records.db", "records.db-wal", "everything.log", "audit.log"}


def test_no_path_that_vault_was_asked_names_a_person_or_a_handle(lived: Lived) -> None:
    """The trap of names in clear text: Vault's audit log keeps the path of every request as it is."""
    audit = next(path for path in files(lived.folders) if path.name == "audit.log")
    paths = {json.loads(line)["request"]["path"] for line in audit.read_text().splitlines()}
    assert {path for path in paths if path.startswith("transit/")} <= {
        f"transit/{verb}/{KEY}{tail}"
        for verb in ("keys", "encrypt", "decrypt", "rewrap", "export/encryption-key", "backup")
        for tail in ("", "/rotate", "/config", "/trim")
    }
    assert f"transit/decrypt/{KEY}" in paths
