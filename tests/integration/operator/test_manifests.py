"""Broken manifests are refused by the apiserver itself, in words that a person understands, with no operator there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

pytestmark = pytest.mark.stack
SUBJECT = "subj-" + "a" * 26
VERIFIED = {"method": "AccountSession", "at": "2026-11-23T12:00:00Z"}


def tenant(name: str = "acme", **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "imagint.ai/v1alpha1", "kind": "Tenant", "metadata": {"name": name},
        "spec": {"residency": {"region": "eu"}, **spec},
    }  # fmt: skip


def model(name: str = "shapes", namespace: str = "tenant-manifests", **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "imagint.ai/v1alpha1", "kind": "ModelDeployment",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"source": {"type": "Bundled", "name": "shapes"}, **spec},
    }  # fmt: skip


def request(name: str = "ada", namespace: str = "tenant-manifests", **spec: Any) -> dict[str, Any]:
    asked = {"type": "Erase", "subject": SUBJECT, "regulation": "GDPR", "verification": VERIFIED}
    return {
        "apiVersion": "imagint.ai/v1alpha1", "kind": "DataSubjectRequest",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {key: value for key, value in (asked | spec).items() if value is not None},
    }  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def namespace(cluster: Any) -> Iterator[None]:
    metadata = {"name": "tenant-manifests", "labels": {"imagint.ai/tenant": "manifests"}}
    cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
    yield
    cluster.run("delete", "namespace", "tenant-manifests", "--wait=false")


HUB = {"type": "Hub", "repository": "a/b"}
BROKEN = [
    pytest.param(tenant("9lives"), "a Tenant's name has 1 to 40", id="tenant: a name that begins with a digit"),
    pytest.param(tenant("a" * 41), "a Tenant's name has 1 to 40", id="tenant: a name that is too long"),
    pytest.param(tenant(residency={"region": "Europe"}), "spec.residency.region", id="tenant: a region in words"),
    pytest.param(tenant(residency=None), "spec.residency", id="tenant: no region"),
    pytest.param(tenant(compute="Cloud"), 'supported values: "Shared", "Dedicated"', id="tenant: unknown compute"),
    pytest.param(tenant(state="Off"), 'supported values: "Active", "Suspended"', id="tenant: unknown state"),
    pytest.param(tenant(quotas={"requestsPerMinute": 0}), "greater than or equal to 1",
                 id="tenant: no requests at all"),
    pytest.param(tenant(quotas={"storage": "lots"}), "spec.quotas.storage", id="tenant: storage in words"),
    pytest.param(tenant(storage={"database": "postgresql://u:p@db/x"}), "carries no user and no password",
                 id="tenant: a password in an address"),
    pytest.param(tenant(apiKeys=[{"name": "app"}]), "secretRef", id="tenant: an API key without a Secret"),
    pytest.param(tenant(deletion={"policy": "Maybe"}), 'supported values: "Shred", "Refuse"',
                 id="tenant: maybe delete"),
    pytest.param(tenant(retention=[{"category": "images"}]), "say how long the category is kept",
                 id="tenant: retention without a term"),
    pytest.param(tenant(retention=[{"category": "images", "keepDays": 1, "keepMonths": 1}]), "with one of them only",
                 id="tenant: retention with two terms"),
    pytest.param(tenant(retention=[{"category": "images", "keepDays": 0}]), "keepDays",
                 id="tenant: retention of no day at all"),
    pytest.param(tenant(retention=[{"category": "faces", "keepDays": 1}]), "Unsupported value",
                 id="tenant: retention of an unknown category"),
    pytest.param(tenant(retentionSchedule={"everyHours": 1000}), "everyHours", id="tenant: retention too rarely"),
    pytest.param(model("Shapes"), "lowercase RFC 1123", id="model: capitals"),
    pytest.param(model("1st"), "a ModelDeployment's name has 1 to 40", id="model: a name that begins with a digit"),
    pytest.param(model(replicas={"min": 3, "max": 2}), "replicas.min must not be greater than replicas.max",
                 id="model: more at least than at most"),
    pytest.param(model(source={"type": "Bundled"}), "a Bundled source has a name", id="model: bundled without a name"),
    pytest.param(model(source={"type": "Path", "path": "rel/ative"}), "spec.source.path", id="model: a relative path"),
    pytest.param(model(source={"type": "Path", "path": "/m", "revision": "x"}), "only a Hub source has a revision",
                 id="model: a revision of a path"),
    pytest.param(model(source=HUB | {"name": "shapes"}), "a Hub source has a repository", id="model: two sources"),
    pytest.param(model(source={"type": "Ftp"}), 'supported values: "Bundled", "Path", "Hub"',
                 id="model: unknown source"),
    pytest.param(model(accelerator={"type": "CPU", "count": 2}), "a replica on CPU has a count of 1",
                 id="model: two CPUs"),
    pytest.param(model(defaults={"steps": 60}), "defaults.steps must not be greater", id="model: default beyond limit"),
    pytest.param(model(defaults={"size": "2048x2048"}), "more pixels than limits.pixels",
                 id="model: default too large"),
    pytest.param(model(defaults={"size": "big"}), "spec.defaults.size", id="model: a size in words"),
    pytest.param(model(namespace="default"), "belongs into the namespace of a Tenant", id="model: outside a tenant"),
    pytest.param(request(subject="ada@example.com"), "subject must be a handle", id="request: an e-mail address"),
    pytest.param(request(subject="subj-" + "A" * 26), "subject must be a handle", id="request: a handle in capitals"),
    pytest.param(request(subject=SUBJECT + "a"), "subject must be a handle", id="request: a handle that is too long"),
    pytest.param(request(regulation="CCPA", type="Restrict"), "the right is OptOut",
                 id="request: CCPA has no Restrict"),
    pytest.param(request(regulation="CCPA", type="Object"), "the right is OptOut", id="request: CCPA has no Object"),
    pytest.param(request(type="OptOut"), "the right is Object (article 21)", id="request: GDPR has no OptOut"),
    pytest.param(request(regulation="UKGDPR", type="OptOut"), "the right is Object", id="request: nor has the UK's"),
    pytest.param(request(verification=None), "say how it was made sure", id="request: nobody checked who asks"),
    pytest.param(request(type="Destroy"), "spec.type: Unsupported value", id="request: an unknown right"),
    pytest.param(request(regulation="HIPAA"), "spec.regulation: Unsupported value", id="request: an unknown law"),
    pytest.param(request(receivedAt="yesterday"), "spec.receivedAt", id="request: a time in words"),
    pytest.param(request(scope={"categories": ["everything"]}), "Unsupported value", id="request: unknown category"),
    pytest.param(request("a" * 64), "at most 63", id="request: a name that is too long"),
    pytest.param(request(namespace="default"), "belongs into the namespace of a Tenant",
                 id="request: outside a tenant"),
]  # fmt: skip


@pytest.mark.parametrize(("manifest", "message"), BROKEN)
def test_a_broken_manifest_is_refused_in_words(cluster: Any, manifest: dict[str, Any], message: str) -> None:
    assert message in cluster.refused(manifest, "--dry-run=server")


@pytest.mark.parametrize(
    "manifest",
    [
        pytest.param(tenant(), id="the smallest tenant"),
        pytest.param(model(), id="the smallest model"),
        pytest.param(model(source=HUB, replicas={"min": 0, "max": 2}), id="a model that goes to zero"),
        pytest.param(request(), id="an erasure"),
        pytest.param(request(type="OptOut", regulation="CCPA", verification=None), id="an opt-out needs no proof"),
        pytest.param(request(type="OptOut", regulation="Other"), id="other laws may know any right"),
    ],
)
def test_a_good_manifest_is_accepted(cluster: Any, manifest: dict[str, Any]) -> None:
    cluster.run("apply", "--dry-run=server", "-f", "-", stdin=json.dumps(manifest))


def test_a_request_never_changes(cluster: Any) -> None:
    cluster.apply(request("constant"))
    changed = cluster.refused(request("constant", subject="subj-" + "b" * 26))
    assert "a request is a record and never changes" in changed


def test_what_would_leave_data_behind_never_changes(cluster: Any) -> None:
    cluster.apply(tenant("steady"))
    try:
        assert "residency.region cannot be changed" in cluster.refused(tenant("steady", residency={"region": "us"}))
        assert "storage cannot be changed" in cluster.refused(
            tenant("steady", storage={"objects": "file:///elsewhere"})
        )
    finally:
        cluster.run("delete", "tenant", "steady", "--wait=false")
