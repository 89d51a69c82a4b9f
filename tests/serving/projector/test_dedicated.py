"""What the projector hands to a Gateway in a tenant's own namespace: one object there, and nothing in the folder."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from imagint_serving.gateway.files import HandedFile
from imagint_serving.projector.apiserver import ApiServer
from imagint_serving.projector.fakes import FakeApiServer, FakeCluster
from imagint_serving.projector.handovers import Handover
from imagint_serving.projector.service import Projector
from imagint_serving.projector.settings import ProjectorSettings

KEY, OTHER = "key-of-the-web-shop", "another-key-entirely"
NOW = 1_700_000_000.0


@pytest.fixture
def cluster() -> FakeCluster:
    cluster = FakeCluster()
    cluster.add_tenant("alone", "web")
    cluster.set_secret("alone", "web", KEY)
    cluster.computes["alone"] = ("Dedicated", "Dedicated")
    return cluster


@pytest.fixture
def server(cluster: FakeCluster, tmp_path: Path) -> Iterator[FakeApiServer]:
    (tmp_path / "identity").mkdir()
    with FakeApiServer(cluster, tmp_path / "identity") as server:
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


def handed(cluster: FakeCluster) -> dict[str, str]:
    data: dict[str, str] = cluster.config_maps["tenant-alone"]["data"]
    return data


def test_the_object_holds_digests_and_public_keys_and_nothing_else(projector: Projector, cluster: FakeCluster) -> None:
    projector.step(NOW)
    data = handed(cluster)
    assert sorted(data) == ["api-keys.json", "platform.json"]
    assert json.loads(data["api-keys.json"]) == {"web": digest(KEY)}
    assert json.loads(data["platform.json"])["issuer"] == "https://cluster.test"
    assert KEY not in json.dumps(cluster.config_maps)
    assert cluster.config_maps["tenant-alone"]["metadata"]["labels"] == {
        "app.kubernetes.io/managed-by": "imagint-operator",
        "imagint.ai/tenant": "alone",
    }


def test_a_gateway_reads_the_object_as_it_reads_the_file(
    projector: Projector, cluster: FakeCluster, tmp_path: Path
) -> None:
    projector.step(NOW)
    mounted = tmp_path / "api-keys.json"
    mounted.write_text(handed(cluster)["api-keys.json"])
    assert HandedFile(mounted, json.loads).read() == {"web": digest(KEY)}


def test_no_token_is_minted_and_no_file_written(projector: Projector, cluster: FakeCluster, handover: Path) -> None:
    projector.step(NOW)
    assert cluster.minted == []
    assert [path.name for path in handover.iterdir()] == ["platform.json"]


def test_nothing_is_written_at_rest(projector: Projector, cluster: FakeCluster) -> None:
    for second in range(5):
        projector.step(NOW + second)
    assert cluster.applied == ["tenant-alone"]


def test_nor_by_the_next_projector(projector: Projector, cluster: FakeCluster, server: FakeApiServer) -> None:
    projector.step(NOW)
    source = ApiServer(server.kubeconfig)
    folder = server.kubeconfig.parent / "elsewhere"
    Projector(source, Handover(folder), ProjectorSettings(server.kubeconfig, folder)).step(NOW + 1)
    source.close()
    assert cluster.applied == ["tenant-alone"]


@pytest.mark.parametrize("change", ["key", "key is gone", "platform", "data", "labels", "object is gone"])
def test_what_changed_is_written_again(projector: Projector, cluster: FakeCluster, change: str) -> None:
    projector.step(NOW)
    match change:
        case "key":
            cluster.set_secret("alone", "web", OTHER)
        case "key is gone":
            cluster.tenants["alone"] = []
        case "platform":
            cluster.keys = {"keys": [{"kid": "new"}]}
        case "data":
            handed(cluster)["api-keys.json"] = json.dumps({"mine": digest(OTHER)})
        case "labels":
            cluster.config_maps["tenant-alone"]["metadata"]["labels"].clear()
        case _:
            cluster.config_maps.clear()
    projector.step(NOW + 400)
    expected = {"key": {"web": digest(OTHER)}, "key is gone": {}}.get(change, {"web": digest(KEY)})
    assert json.loads(handed(cluster)["api-keys.json"]) == expected
    assert json.loads(handed(cluster)["platform.json"])["jwks"] == cluster.keys
    assert cluster.applied == ["tenant-alone"] * 2


def test_a_tenant_that_moves_is_served_at_both_places_then_at_one(
    projector: Projector, cluster: FakeCluster, handover: Path
) -> None:
    cluster.computes["alone"] = ("Dedicated", "Shared")
    projector.step(NOW)
    assert json.loads((handover / "alone/api-keys.json").read_text()) == json.loads(handed(cluster)["api-keys.json"])
    assert (handover / "alone/vault-token").exists()
    cluster.computes["alone"] = ("Dedicated", "Dedicated")
    projector.step(NOW + 1)
    assert not (handover / "alone").exists()
    cluster.computes["alone"] = ("Shared", "Dedicated")
    projector.step(NOW + 2)
    assert (handover / "alone/api-keys.json").exists()
    assert "api-keys.json" in handed(cluster)


def test_a_tenant_that_came_back_leaves_no_digest_behind(projector: Projector, cluster: FakeCluster) -> None:
    projector.step(NOW)
    cluster.computes["alone"] = ("Shared", "Shared")
    for second in range(1, 4):
        projector.step(NOW + second)
    assert handed(cluster) == {}
    assert cluster.applied == ["tenant-alone"] * 2


def test_the_next_projector_cleans_up_too(projector: Projector, cluster: FakeCluster, server: FakeApiServer) -> None:
    projector.step(NOW)
    cluster.computes["alone"] = ("Shared", "Shared")
    source = ApiServer(server.kubeconfig)
    folder = server.kubeconfig.parent / "elsewhere"
    Projector(source, Handover(folder), ProjectorSettings(server.kubeconfig, folder)).step(NOW + 1)
    source.close()
    assert handed(cluster) == {}


def test_trouble_with_the_object_is_tried_again_and_leaves_the_neighbours_alone(
    projector: Projector, cluster: FakeCluster, handover: Path
) -> None:
    cluster.add_tenant("other", "web")
    cluster.set_secret("other", "web", OTHER)
    cluster.failing["configmaps/imagint-handover"] = 500
    projector.step(NOW)
    assert (handover / "other/vault-token").exists()
    cluster.failing.clear()
    projector.step(NOW + 10)
    assert json.loads(handed(cluster)["api-keys.json"]) == {"web": digest(KEY)}
