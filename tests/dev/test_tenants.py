"""Where a stack keeps a tenant is told to the commands that open its library."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from click import ClickException

from imagint_dev import cli
from imagint_dev.errors import SettingsError
from imagint_dev.stack import Stack
from imagint_dev.tenants import settings_of, storage_of
from imagint_privacy.cli.places import Place

URLS: dict[str, Any] = {"urls": {"vault": "http://127.0.0.1:8200"}}


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for number, uid in enumerate(("old-uid", "new-uid")):
        folder = tmp_path / "data" / "acme" / uid
        folder.mkdir(parents=True)
        os.utime(folder, (number, number))
    monkeypatch.setattr(Stack, "is_running", lambda _: True)
    monkeypatch.setattr(Stack, "record", lambda _: URLS)
    return tmp_path


def test_the_present_incarnation_of_a_tenant_is_found(state: Path) -> None:
    place = Place.model_validate(settings_of(state, "acme"))
    assert place.database == f"sqlite:///{state}/data/acme/new-uid/records.db"
    assert place.tree_copies == (f"file://{state}/copies/acme/new-uid",)
    assert (place.key, place.vault.address) == ("tenant-acme", "http://127.0.0.1:8200")
    assert place.vault.token_file == state / "handover" / "acme" / "vault-token"


def test_an_unknown_tenant_and_a_stack_that_stands_still_are_named(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SettingsError, match="keeps nothing of a tenant nobody"):
        storage_of(state, "nobody")
    monkeypatch.setattr(Stack, "is_running", lambda _: False)
    with pytest.raises(ClickException, match="no stack runs in"):
        cli.tenant_settings(state, "acme")
