"""`imagint backup`, `restore` and `copies`: what they answer, how they end, and that looking changes nothing."""

from __future__ import annotations

import json
import shutil
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from imagint_privacy.cli import copies, main, opening, restore
from imagint_privacy.keys.fakes import FakeTransit
from imagint_privacy.purposes import Purpose
from imagint_privacy.records.library import Draft, Library, StorageSettings

KEY = "tenant-acme"


class Bench:
    """One tenant with a settings file; `run` is a person at a terminal."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.transit = FakeTransit()
        self.transit.admin().ensure(KEY)
        self.storage = StorageSettings(
            f"sqlite:///{folder}/records.db", f"file://{folder}/objects", (f"file://{folder}/copy",)
        )
        (folder / "token").write_text("a token")
        (folder / "settings.yaml").write_text(
            json.dumps(
                {
                    "tenant": "acme",
                    "database": self.storage.database,
                    "objects": self.storage.objects,
                    "treeCopies": list(self.storage.tree_copies),
                    "vault": {"address": "http://vault.test", "tokenFile": str(folder / "token")},
                }
            )
        )
        library = self.opened()
        self.people = [library.handle(person) for person in ("ann", "bob")]
        for person in self.people:
            drafts = [
                Draft(f"text_{person[5:9]}", "prompts", "text", b"words"),
                Draft(f"img_{person[5:9]}", "images", "image/png", b"image" * 99, large=True),
            ]
            library.store(library.begin(person, Purpose.GENERATE), drafts)
        library.copy_tree()
        library.close()

    def opened(self) -> Library:
        return Library.open("acme", self.storage, self.transit.tenant_key(KEY), key_name=KEY, cache_seconds=0.1)

    def run(self, *arguments: str | Path, settings: bool = True) -> Result:
        given = [str(argument) for argument in arguments]
        return CliRunner().invoke(main, given + (["--settings", f"{self.folder}/settings.yaml"] if settings else []))

    def lose(self, *names: str) -> None:
        for name in names:
            for path in self.folder.glob(f"{name}*"):
                shutil.rmtree(path) if path.is_dir() else path.unlink()


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    (tmp_path / "tenant").mkdir()
    made = Bench(tmp_path / "tenant")
    for module in (opening, restore, copies):
        monkeypatch.setattr(module, "key_of", lambda place: made.transit.tenant_key(place.key))
    return made


def answer(result: Result) -> Any:
    return json.loads(result.stdout)


def test_a_whole_life_backup_loss_tree_data(bench: Bench, tmp_path: Path) -> None:
    made = bench.run("backup", tmp_path / "backup")
    assert (made.exit_code, made.stdout.split(" and the key tree")[0]) == (0, "4 records, 2 objects")
    bench.lose("records.db", "objects")
    lost = bench.run("restore", "data", tmp_path / "backup")
    assert (lost.exit_code, "imagint restore tree" in lost.stderr) == (1, True)
    assert not (bench.folder / "records.db").exists()
    looked = bench.run("restore", "tree")
    assert (looked.exit_code, "nothing was changed" in looked.stdout) == (0, True)
    assert not (bench.folder / "records.db").exists()
    assert bench.run("restore", "tree", "--apply").exit_code == 0
    assert bench.run("restore", "tree", "--apply").exit_code == 1
    seen = bench.run("restore", "data", tmp_path / "backup")
    assert seen.exit_code == 0
    assert "4  missing here, and open under the current tree" in seen.stdout
    assert "--apply brings back" in seen.stdout
    done = bench.run("restore", "data", tmp_path / "backup", "--apply", "--all", "--json")
    assert answer(done)["counts"] == {"Brought": 4}
    again = answer(bench.run("restore", "data", tmp_path / "backup", "--apply", "--all", "--json"))
    assert again == {"applied": True, "counts": {"Held": 4}, "statements": 0}
    library = bench.opened()
    assert library.read(bench.people[0], f"img_{bench.people[0][5:9]}", Purpose.DELIVER).content == b"image" * 99
    library.close()


def test_bringing_back_needs_to_know_which_records(bench: Bench, tmp_path: Path) -> None:
    bench.run("backup", tmp_path / "backup")
    bench.lose("objects")
    refused = bench.run("restore", "data", tmp_path / "backup", "--apply")
    assert (refused.exit_code, "what owners deleted one by one" in refused.stderr) == (2, True)
    one = bench.run("restore", "data", tmp_path / "backup", "--apply", "--subject", bench.people[0], "--json")
    assert answer(one)["counts"] == {"Held": 1, "Brought": 1}
    none = bench.run("restore", "data", tmp_path / "backup", "--since", "2999-01-01T00:00:00Z")
    assert "no such record" in none.stdout


def test_an_erased_person_is_counted_as_forgotten(bench: Bench, tmp_path: Path) -> None:
    bench.run("backup", tmp_path / "backup")
    library = bench.opened()
    erasures = library.erasures
    erasures.fence("req", bench.people[0], received_at=datetime.now(UTC))
    version = bench.transit.admin().rotate(KEY)
    erasures.commit("req", version)
    erasures.copies("req")
    bench.transit.admin().raise_minimum(KEY, version)
    bench.transit.admin().trim(KEY, version)
    while erasures.caches("req").state == "Waiting":
        time.sleep(0.1)
    erasures.purge("req")
    library.close()
    found = bench.run("restore", "data", tmp_path / "backup")
    assert found.exit_code == 0
    assert "2  forgotten since: nobody can open them any more" in found.stdout


def test_damage_has_an_exit_code_of_its_own(bench: Bench, tmp_path: Path) -> None:
    bench.run("backup", tmp_path / "backup")
    shutil.rmtree(tmp_path / "backup" / "objects")
    bench.lose("objects")
    found = bench.run("restore", "data", tmp_path / "backup")
    assert (found.exit_code, "2  without their content in the backup" in found.stdout) == (3, True)


def test_copies_are_verified_updated_and_rid_of_garbage(bench: Bench) -> None:
    for how in ((), ("--without-keys",)):
        assert answer(bench.run("copies", "verify", "--json", *how))["copies"][0]["whole"]
    stray = bench.folder / "copy" / "nodes" / "ab" / ("ab" + "0" * 62)
    stray.parent.mkdir(exist_ok=True)
    stray.write_bytes(b"stray")
    looked = bench.run("copies", "collect")
    assert (looked.exit_code, "1 needed by nothing, 0 deleted" in looked.stdout) == (0, True)
    assert "1 deleted" in bench.run("copies", "collect", "--apply", "--nodes").stdout
    assert not stray.exists()
    next(path for path in (bench.folder / "copy" / "nodes").rglob("*") if path.is_file()).unlink()
    assert bench.run("copies", "verify", "--without-keys").exit_code == 3
    bench.lose("copy")
    assert bench.run("copies", "verify").exit_code == 3
    assert "holds generation" in bench.run("copies", "update").stdout
    assert "whole" in bench.run("copies", "verify").stdout


def test_a_copy_that_lost_a_node_is_mended_when_everything_is_written_again(bench: Bench) -> None:
    nodes = [path for path in (bench.folder / "copy" / "nodes").rglob("*") if path.is_file()]
    nodes[0].unlink()
    nodes[1].write_bytes(b"damaged")
    assert bench.run("copies", "update").exit_code == 0
    assert bench.run("copies", "verify", "--without-keys").exit_code == 3
    assert bench.run("copies", "update", "--whole").exit_code == 0
    for how in ((), ("--without-keys",)):
        assert answer(bench.run("copies", "verify", "--json", *how))["copies"][0]["whole"]


@pytest.mark.parametrize(
    ("switch", "code", "word"),
    [
        pytest.param({"sealed": True}, 4, "KeysUnavailable", id="a sealed vault: later"),
        pytest.param({"unreachable": True}, 4, "run the same command again", id="an unreachable vault: later"),
    ],
)
def test_a_vault_that_does_not_answer_is_no_refusal(
    bench: Bench, switch: dict[str, bool], code: int, word: str
) -> None:
    for name, value in switch.items():
        setattr(bench.transit, name, value)
    done = bench.run("copies", "update", "--json")
    assert (done.exit_code, word in done.stderr, answer(done)["retry"]) == (code, True, True)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        pytest.param(["--tenant", "acme"], "database: Field required", id="nothing given"),
        pytest.param(["--state", "/nowhere"], "--state needs --tenant", id="a stack without a tenant"),
        pytest.param(["--state", "/nowhere", "--tenant", "acme"], "no stack runs in", id="no stack there"),
    ],
)
def test_without_a_place_the_command_says_what_is_missing(bench: Bench, arguments: list[str], words: str) -> None:
    done = bench.run("copies", "verify", *arguments, settings=False)
    assert done.exit_code in {1, 2}
    assert words in done.stderr


@pytest.mark.parametrize(
    "content",
    [
        pytest.param("- a list", id="no mapping"),
        pytest.param("a: [", id="no YAML"),
        pytest.param("tenant: acme\nsecret: x", id="an unknown name"),
        pytest.param("tenant: acme\nvault: none", id="vault is no mapping"),
        pytest.param("tenant: 2026-13-45", id="a date that is none"),
        pytest.param("a: " + "[" * 2000 + "]" * 2000, id="lists without end"),
    ],
)
def test_a_wrong_settings_file_is_wrong_usage(bench: Bench, content: str) -> None:
    (bench.folder / "settings.yaml").write_text(content)
    assert bench.run("copies", "verify").exit_code == 2


def test_wrong_names_and_moments_are_wrong_usage(bench: Bench, tmp_path: Path) -> None:
    for wrong in (("--subject", "ann"), ("--category", "No"), ("--record", "a/b"), ("--since", "yesterday")):
        assert bench.run("restore", "data", tmp_path, *wrong).exit_code == 2


def test_options_go_before_the_file_and_another_tenants_database_is_refused(bench: Bench) -> None:
    refused = bench.run("copies", "verify", "--tenant", "other")
    assert (refused.exit_code, "ForeignTree" in refused.stderr) == (1, True)
    unknown = bench.run("copies", "verify", "--database", f"sqlite:///{bench.folder}/none.db")
    assert (unknown.exit_code, "holds no tree of this tenant" in unknown.stderr) == (1, True)
    assert not (bench.folder / "none.db").exists()
