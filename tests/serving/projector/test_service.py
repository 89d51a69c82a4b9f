"""The projector against a small true apiserver, over TLS, into real files."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import jwt
import pytest

from imagint_serving.projector.apiserver import ApiServer
from imagint_serving.projector.errors import KubeconfigError, ProjectorError
from imagint_serving.projector.fakes import FakeApiServer, FakeCluster
from imagint_serving.projector.handovers import Handover
from imagint_serving.projector.kubeconfigs import read_endpoint
from imagint_serving.projector.service import Projector
from imagint_serving.projector.settings import ProjectorSettings

WEB, APP = "key-of-the-web-shop", "key-of-the-phone-app"


@pytest.fixture
def cluster() -> FakeCluster:
    cluster = FakeCluster()
    cluster.add_tenant("acme", "web", "app")
    cluster.set_secret("acme", "web", WEB + "\n")
    cluster.set_secret("acme", "app", APP)
    return cluster


@pytest.fixture
def server(cluster: FakeCluster, tmp_path: Path) -> Iterator[FakeApiServer]:
    folder = tmp_path / "identity"
    folder.mkdir()
    with FakeApiServer(cluster, folder) as server:
        yield server


@pytest.fixture
def handover(tmp_path: Path) -> Path:
    return tmp_path / "handover"


@pytest.fixture
def projector(server: FakeApiServer, handover: Path) -> Iterator[Projector]:
    source = ApiServer(server.kubeconfig)
    yield Projector(source, Handover(handover), ProjectorSettings(server.kubeconfig, handover))
    source.close()


def digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def keys_in(folder: Path) -> dict[str, str]:
    keys: dict[str, str] = json.loads((folder / "api-keys.json").read_text())
    return keys


def test_one_step_hands_over_all_that_a_gateway_needs(projector: Projector, handover: Path) -> None:
    projector.step(time.time())
    acme = handover / "acme"
    claims = jwt.decode((acme / "vault-token").read_text(), options={"verify_signature": False})
    assert claims["aud"] == ["vault"]
    assert keys_in(acme) == {"web": digest(WEB), "app": digest(APP)}
    assert json.loads((handover / "platform.json").read_text())["issuer"] == "https://cluster.test"


def test_files_are_for_their_owner_only_and_no_part_is_left_over(projector: Projector, handover: Path) -> None:
    projector.step(time.time())
    modes = {p.name: stat.S_IMODE(p.stat().st_mode) for p in handover.rglob("*")}
    assert modes == {"acme": 0o700, "vault-token": 0o600, "api-keys.json": 0o600, "platform.json": 0o600}


def test_nothing_is_rewritten_at_rest(projector: Projector, handover: Path, cluster: FakeCluster) -> None:
    now = time.time()
    projector.step(now)
    before = {p: p.stat().st_mtime_ns for p in handover.rglob("*")}
    projector.step(now + 1)
    assert {p: p.stat().st_mtime_ns for p in handover.rglob("*")} == before
    assert cluster.minted == ["tenant-acme"]


def test_a_token_is_renewed_half_way_even_when_its_life_was_shortened(
    projector: Projector, handover: Path, cluster: FakeCluster
) -> None:
    cluster.token_seconds = 600
    now = time.time()
    projector.step(now)
    first = (handover / "acme/vault-token").read_text()
    projector.step(now + 290)
    assert (handover / "acme/vault-token").read_text() == first
    projector.step(now + 301)
    assert (handover / "acme/vault-token").read_text() != first


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param("another-key-entirely", {"web", "app"}, id="a rotated key replaces the old one"),
        pytest.param("short", {"web"}, id="a key that can be guessed is not handed over"),
        pytest.param(None, {"web"}, id="a key whose Secret is gone is taken out"),
    ],
)
def test_a_changed_secret(
    projector: Projector, handover: Path, cluster: FakeCluster, value: str | None, expected: set[str]
) -> None:
    now = time.time()
    projector.step(now)
    if value is None:
        del cluster.secrets["tenant-acme", "api-app"]
    else:
        cluster.set_secret("acme", "app", value)
    projector.step(now + 0.8)
    keys = keys_in(handover / "acme")
    assert keys.keys() == expected
    assert digest(APP) not in keys.values()


def test_a_tenant_that_is_gone_leaves_nothing(projector: Projector, handover: Path, cluster: FakeCluster) -> None:
    now = time.time()
    projector.step(now)
    cluster.tenants.clear()
    projector.step(now + 0.8)
    assert not (handover / "acme").exists()
    assert (handover / "platform.json").exists()


def test_what_a_former_projector_left_for_a_lost_tenant_is_removed(server: FakeApiServer, handover: Path) -> None:
    (handover / "ghost").mkdir(parents=True)
    (handover / "ghost/vault-token").write_text("old")
    source = ApiServer(server.kubeconfig)
    Projector(source, Handover(handover), ProjectorSettings(server.kubeconfig, handover)).step(time.time())
    source.close()
    assert not (handover / "ghost").exists()


def test_an_account_created_anew_gets_a_new_token_at_once(
    projector: Projector, handover: Path, cluster: FakeCluster
) -> None:
    now = time.time()
    projector.step(now)
    first = (handover / "acme/vault-token").read_text()
    cluster.accounts["tenant-acme"] = "another-uid"
    projector.step(now + 0.8)
    projector.step(now + 1.0)
    assert (handover / "acme/vault-token").read_text() != first


@pytest.mark.parametrize("status", [401, 403, 404, 429, 500, 503])
def test_an_apiserver_that_cannot_list_removes_nothing(
    projector: Projector, handover: Path, cluster: FakeCluster, status: int
) -> None:
    now = time.time()
    projector.step(now)
    cluster.failing = {"/tenants": status}
    waits = [projector.step(now + n) for n in range(1, 8)]
    assert waits[0] == 0.25
    assert waits[-1] == 8
    assert (handover / "acme/vault-token").exists()
    cluster.failing = {}
    assert projector.step(now + 20) == 0.25


def test_one_broken_tenant_does_not_hold_up_the_others(
    projector: Projector, handover: Path, cluster: FakeCluster
) -> None:
    cluster.add_tenant("broken", "web")
    cluster.failing = {"namespaces/tenant-broken/": 403}
    projector.step(time.time())
    assert (handover / "acme/vault-token").exists()
    assert not (handover / "broken/vault-token").exists()


def test_a_key_that_may_not_be_read_yet_does_not_keep_the_others_in_or_out(
    projector: Projector, handover: Path, cluster: FakeCluster
) -> None:
    now = time.time()
    projector.step(now)
    cluster.failing = {"secrets/api-app": 403}
    cluster.tenants["acme"] = cluster.tenants["acme"][1:]
    projector.step(now + 0.3)
    assert keys_in(handover / "acme") == {}
    cluster.failing = {}
    projector.step(now + 1.1)
    assert keys_in(handover / "acme") == {"app": digest(APP)}


def test_a_key_is_revoked_even_while_no_token_can_be_minted(
    projector: Projector, handover: Path, cluster: FakeCluster
) -> None:
    cluster.failing = {"/token": 500}
    now = time.time()
    for n in range(10):
        projector.step(now + n)
    cluster.tenants["acme"] = cluster.tenants["acme"][:1]
    projector.step(now + 10)
    assert keys_in(handover / "acme") == {"web": digest(WEB)}
    assert not (handover / "acme/vault-token").exists()


def test_neither_token_nor_key_nor_body_is_logged(
    projector: Projector, cluster: FakeCluster, caplog: pytest.LogCaptureFixture, handover: Path
) -> None:
    caplog.set_level(logging.DEBUG)
    now = time.time()
    projector.step(now)
    token = (handover / "acme/vault-token").read_text()
    cluster.failing = {"secrets": 500}
    projector.step(now + 1)
    cluster.failing = {"": 500}
    projector.step(now + 2)
    for secret in (token, WEB, APP, digest(WEB), cluster.token, "should-never-be-logged"):
        assert secret not in caplog.text


def test_a_new_tenant_is_served_without_a_nudge(projector: Projector, handover: Path, cluster: FakeCluster) -> None:
    stop = threading.Event()
    thread = threading.Thread(target=projector.run, args=(time.time, stop.wait))
    thread.start()
    try:
        time.sleep(0.2)
        cluster.add_tenant("late", "web")
        cluster.set_secret("late", "web", WEB)
        began = time.monotonic()
        while not (handover / "late/vault-token").exists() or not (handover / "late/api-keys.json").exists():
            assert time.monotonic() - began < 20, "the tenant was never served"
            time.sleep(0.01)
    finally:
        stop.set()
        thread.join()


def test_an_unreachable_apiserver_is_waited_for(server: FakeApiServer, handover: Path) -> None:
    text = server.kubeconfig.read_text()
    port = text.split("127.0.0.1:")[1].split()[0]
    server.kubeconfig.write_text(text.replace(port, "1"))
    source = ApiServer(server.kubeconfig)
    projector = Projector(source, Handover(handover), ProjectorSettings(server.kubeconfig, handover))
    assert projector.step(time.time()) == 0.25
    server.kubeconfig.write_text(text)
    projector.step(time.time())
    source.close()
    assert (handover / "acme/vault-token").exists()


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="nothing"),
        pytest.param("a: [", id="no YAML"),
        pytest.param("current-context: x", id="no contexts"),
        pytest.param("just text", id="no document"),
    ],
)
def test_a_broken_kubeconfig_is_named_but_not_repeated(tmp_path: Path, text: str) -> None:
    path = tmp_path / "kubeconfig"
    path.write_text(text)
    with pytest.raises(KubeconfigError, match="is not a kubeconfig"):
        read_endpoint(path)


def test_a_missing_kubeconfig_or_token_is_an_error_of_ours(server: FakeApiServer, tmp_path: Path) -> None:
    with pytest.raises(KubeconfigError):
        ApiServer(tmp_path / "nowhere").tenants()
    (server.kubeconfig.parent / "token").write_text("")
    with pytest.raises(KubeconfigError, match="is empty"):
        ApiServer(server.kubeconfig).tenants()


def test_the_ambient_kubeconfig_is_never_used() -> None:
    with pytest.raises(ProjectorError, match="IMAGINT_KUBECONFIG"):
        ProjectorSettings.from_environment({"KUBECONFIG": "/root/.kube/config", "IMAGINT_HANDOVER": "/tmp/x"})


def test_the_process_hands_over_and_ends_cleanly_when_asked(server: FakeApiServer, handover: Path) -> None:
    environment = {
        "PATH": os.environ["PATH"],
        "IMAGINT_KUBECONFIG": str(server.kubeconfig),
        "IMAGINT_HANDOVER": str(handover),
        "HTTPS_PROXY": "http://127.0.0.1:1",
    }
    command = [sys.executable, "-m", "imagint_serving.projector"]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 20
        while not (handover / "acme/api-keys.json").exists():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.terminate()
        _, log = process.communicate(timeout=10)
    assert process.returncode == 0
    assert WEB not in log
