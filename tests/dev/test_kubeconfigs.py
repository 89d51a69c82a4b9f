from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from imagint_dev import kubeconfigs, pki
from imagint_dev.errors import SettingsError

SERVER = "https://127.0.0.1:1"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    pki.ensure(tmp_path, datetime.now(UTC))
    return tmp_path


def test_what_is_written_can_be_read_and_used(folder: Path) -> None:
    kubeconfigs.write(folder / "kubeconfig", kubeconfigs.with_certificate(SERVER, folder, "admin"))
    endpoint = kubeconfigs.read(folder / "kubeconfig")
    assert endpoint.server == SERVER
    assert endpoint.bearer() is None
    assert endpoint.context().get_ca_certs()


def test_a_token_file_is_read_at_each_use(folder: Path) -> None:
    token = folder / "token"
    authority = (folder / "ca.crt").read_text()
    kubeconfigs.write(folder / "kubeconfig", kubeconfigs.with_token_file(SERVER, authority, "x", token))
    endpoint = kubeconfigs.read(folder / "kubeconfig")
    for value in ("one", "two"):
        token.write_text(value)
        assert endpoint.bearer() == value


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param({"users": [{"name": "admin", "user": {"exec": {}}}]}, "exec plugins", id="an exec plugin"),
        pytest.param(
            {"clusters": [{"name": "imagint", "cluster": {"server": SERVER, "insecure-skip-tls-verify": True}}]},
            "unverified",
            id="a server that nobody vouches for",
        ),
        pytest.param({"current-context": "other"}, "not a kubeconfig", id="no such context"),
    ],
)
def test_a_kubeconfig_that_cannot_be_used_is_refused(folder: Path, change: dict[str, object], message: str) -> None:
    document = kubeconfigs.with_certificate(SERVER, folder, "admin") | change
    (folder / "kubeconfig").write_text(yaml.safe_dump(document))
    with pytest.raises(SettingsError, match=message):
        kubeconfigs.read(folder / "kubeconfig")


def test_a_refusal_does_not_repeat_the_file(folder: Path) -> None:
    (folder / "kubeconfig").write_text("users: [{token: sesame}]\n")
    with pytest.raises(SettingsError) as refused:
        kubeconfigs.read(folder / "kubeconfig")
    assert "sesame" not in str(refused.value)
