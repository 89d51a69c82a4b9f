"""`imagint key`: rotation and a move to another key, with nothing forgotten and versions that never go back."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from imagint_privacy.cli import key, main, opening
from imagint_privacy.cli.places import Place
from imagint_privacy.errors import KeyDestroyedError
from imagint_privacy.keys.fakes import FakeTransit
from imagint_privacy.purposes import Purpose
from imagint_privacy.records.library import Draft, Library, StorageSettings

OLD, NEW = "tenant-acme", "acme-2"


class Tenant:
    """A tenant whose key is in one Vault, and another Vault beside it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.vaults = {"http://vault.test": FakeTransit(), "http://other.test": FakeTransit()}
        self.here, self.there = self.vaults.values()
        self.here.admin().ensure(OLD)
        self.there.admin().ensure(NEW)
        self.storage = StorageSettings(
            f"sqlite:///{folder}/records.db", f"file://{folder}/objects", (f"file://{folder}/copy",)
        )
        (folder / "token").write_text("a token")
        vault = {"address": "http://vault.test", "tokenFile": str(folder / "token")}
        places = {"database": self.storage.database, "objects": self.storage.objects}
        settings = {"tenant": "acme", **places, "treeCopies": list(self.storage.tree_copies), "vault": vault}
        (folder / "settings.yaml").write_text(json.dumps(settings))
        library = self.opened(self.here, OLD)
        ticket = library.begin(library.handle("ann"), Purpose.GENERATE)
        library.store(ticket, [Draft("one", "images", "image/png", b"an image", large=True)])
        library.close()

    def opened(self, vault: FakeTransit, name: str) -> Library:
        return Library.open("acme", self.storage, vault.tenant_key(name), key_name=name, cache_seconds=0.1)

    def read(self, vault: FakeTransit, name: str) -> bytes:
        library = self.opened(vault, name)
        try:
            return library.read(library.handle("ann"), "one", Purpose.DELIVER).content
        finally:
            library.close()

    def run(self, *arguments: str) -> Result:
        return CliRunner().invoke(main, ["key", *arguments, "--settings", f"{self.folder}/settings.yaml"])


@pytest.fixture
def tenant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tenant:
    made = Tenant(tmp_path)

    def key_of(place: Any) -> Any:
        return made.vaults[place.vault.address].tenant_key(place.key)

    for module in (opening, key):
        monkeypatch.setattr(module, "key_of", key_of)
    return made


def test_rewrapping_leaves_no_tree_under_the_older_version(tenant: Tenant) -> None:
    admin = tenant.here.admin()
    assert admin.rotate(OLD) == 2
    result = tenant.run("rewrap", "--json")
    assert (result.exit_code, json.loads(result.stdout)["keyVersion"]) == (0, 2)
    admin.raise_minimum(OLD, 2)
    admin.trim(OLD, 2)
    assert tenant.read(tenant.here, OLD) == b"an image"


def test_a_tree_moves_to_another_vault_and_needs_the_old_one_no_more(tenant: Tenant) -> None:
    result = tenant.run("move", "--to-vault-addr", "http://other.test", "--to-vault-key", NEW)
    assert (result.exit_code, f"version 1 of {NEW}" in result.stdout) == (0, True)
    tenant.here.admin().destroy(OLD)
    assert tenant.read(tenant.there, NEW) == b"an image"


def test_the_old_key_opens_nothing_after_a_move(tenant: Tenant) -> None:
    assert tenant.run("move", "--to-vault-addr", "http://other.test", "--to-vault-key", NEW).exit_code == 0
    with pytest.raises(KeyDestroyedError):
        tenant.opened(tenant.here, OLD)


def test_moving_again_ends_the_same(tenant: Tenant) -> None:
    for _ in range(2):
        assert tenant.run("move", "--to-vault-addr", "http://other.test", "--to-vault-key", NEW).exit_code == 0
    assert tenant.read(tenant.there, NEW) == b"an image"


def test_versions_never_go_back(tenant: Tenant) -> None:
    tenant.here.admin().rotate(OLD)
    assert tenant.run("rewrap").exit_code == 0
    result = tenant.run("move", "--to-vault-addr", "http://other.test", "--to-vault-key", NEW)
    assert (result.exit_code, "rotate it up to 2 first" in " ".join(result.stderr.split())) == (1, True)
    assert tenant.read(tenant.here, OLD) == b"an image"
    tenant.there.admin().rotate(NEW)
    assert tenant.run("move", "--to-vault-addr", "http://other.test", "--to-vault-key", NEW).exit_code == 0
    assert tenant.read(tenant.there, NEW) == b"an image"


def test_nothing_is_wrapped_anew_while_something_is_about_to_be_forgotten(tenant: Tenant) -> None:
    library = tenant.opened(tenant.here, OLD)
    ann = library.handle("ann")
    library.erasures.fence("req", ann, received_at=datetime.now(UTC))
    tenant.here.admin().rotate(OLD)
    refused = tenant.run("rewrap")
    assert (refused.exit_code, "about to be forgotten" in " ".join(refused.stderr.split())) == (4, True)
    assert library.erasures.root().key_version == 1
    library.erasures.commit("req", 2)
    library.close()
    assert tenant.run("rewrap").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        pytest.param((), 1, "nothing says where to", id="a move to nowhere"),
        pytest.param(("--to-vault-key", OLD), 1, "nothing says where to", id="a move to where it is"),
        pytest.param(("--to-vault-key", "no-such-key"), 1, "no transit key", id="a key that is not there"),
        pytest.param(("--to-vault-token-file", "/no/such/file"), 2, "does not exist", id="a token that is not there"),
    ],
)
def test_a_move_that_cannot_be_is_refused_and_changes_nothing(
    tenant: Tenant, arguments: tuple[str, ...], code: int, said: str
) -> None:
    result = tenant.run("move", *arguments)
    assert (result.exit_code, said in " ".join(result.stderr.split())) == (code, True), result.stderr
    assert tenant.read(tenant.here, OLD) == b"an image"


def test_a_library_that_a_command_holds_open_follows_the_tree(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "_BEAT_SECONDS", 0.01)
    place = Place.model_validate(json.loads((tenant.folder / "settings.yaml").read_text()))
    with opening.library_of(place) as held:
        other = tenant.opened(tenant.here, OLD)
        generation = other.tree.rewrap(key_version=1).generation
        other.close()
        until = time.monotonic() + 20
        while held.status().replicas[0].generation < generation and time.monotonic() < until:
            time.sleep(0.02)
        assert held.status().replicas[0].generation == generation
