"""Each field of a Tenant given a wrong value: the apiserver itself refuses it, in words that say what to write."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

pytestmark = pytest.mark.stack
KEY = {"name": "app", "secretRef": {"name": "keys", "key": "app"}}


def tenant(name: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": "imagint.ai/v1alpha1", "kind": "Tenant", "metadata": {"name": name},
        "spec": {"residency": {"region": "eu"}, **spec},
    }  # fmt: skip


def ref(**changes: Any) -> list[dict[str, Any]]:
    return [{**KEY, "secretRef": {**KEY["secretRef"], **changes}}]  # type: ignore[dict-item]


NAMES = [
    pytest.param("Acme", "lowercase RFC 1123", id="capitals"),
    pytest.param("1st", "begins with a letter", id="begins with a digit"),
    pytest.param("a" * 41, "1 to 40 lower-case letters", id="41 letters"),
    pytest.param("a.b", "1 to 40 lower-case letters, digits and dashes", id="a dot"),
]
# field, value, words that the message must contain
VALUES: list[tuple[str, Any, str]] = [
    ("displayName", "x" * 101, "may not be more than 100"),
    ("displayName", 7, "spec.displayName"),
    ("residency", None, "spec.residency"),
    ("residency", {}, "spec.residency.region: Required value"),
    ("residency", {"region": "Europe"}, "written like eu or eu-central-1"),
    ("residency", {"region": "e"}, "spec.residency.region"),
    ("compute", "Cloud", 'supported values: "Shared", "Dedicated"'),
    ("policyRef", {}, "spec.policyRef.name: Required value"),
    ("policyRef", {"name": "Studio"}, "spec.policyRef.name"),
    ("state", "Off", 'supported values: "Active", "Suspended"'),
    ("state", False, 'supported values: "Active", "Suspended"'),
    ("quotas", {"requestsPerMinute": 0}, "spec.quotas.requestsPerMinute: Invalid value: 0"),
    ("quotas", {"requestsPerMinute": 1_000_001}, "less than or equal to 1000000"),
    ("quotas", {"imagesPerDay": -1}, "spec.quotas.imagesPerDay: Invalid value: -1"),
    ("quotas", {"gpuCount": -1}, "greater than or equal to 0"),
    ("quotas", {"gpuCount": 1.5}, "spec.quotas.gpuCount"),
    ("quotas", {"gpuCount": "many"}, "spec.quotas.gpuCount"),
    ("quotas", {"storage": "lots"}, "quotas.storage is written like 500Mi, 10Gi or 2Ti"),
    ("quotas", {"storage": "10GB"}, "quotas.storage is written like 500Mi, 10Gi or 2Ti"),
    ("apiKeys", [{"name": "app"}], "spec.apiKeys[0].secretRef: Required value"),
    ("apiKeys", [KEY, KEY], "Duplicate value"),
    ("apiKeys", [{**KEY, "name": f"app-{number}"} for number in range(17)], "must have at most 16 items"),
    ("apiKeys", [{**KEY, "name": "sk_live_1"}], "its value belongs into a Secret"),
    ("apiKeys", ref(name="Keys"), "the name of a Secret in the tenant's namespace"),
    ("apiKeys", ref(key="a key"), "secretRef.key is a key of that Secret"),
    ("storage", {"database": "db"}, "like postgresql://host/database"),
    ("storage", {"database": "mysql://db/a"}, "like postgresql://host/database"),
    ("storage", {"database": "postgresql://u:p@db/a"}, "carries no user and no password"),
    ("storage", {"objects": "/data"}, "like s3://bucket/path"),
    ("storage", {"objects": ""}, "spec.storage.objects"),
    ("storage", {"treeCopies": ["bucket"]}, "like s3://bucket/path"),
    ("storage", {"treeCopies": [f"s3://copy-{number}" for number in range(5)]}, "must have at most 4 items"),
    ("storage", {"treeCopies": ["s3://one", "s3://one"]}, "other places"),
    ("storage", {"objects": "s3://one", "treeCopies": ["s3://one"]}, "a copy beside the original is lost with it"),
    ("retention", [{"category": "faces", "keepDays": 1}], "Unsupported value"),
    ("retention", [{"category": "images"}], "say how long the category is kept"),
    ("retention", [{"category": "images", "keepDays": 0}], "keepDays"),
    ("retentionSchedule", {"everyHours": 0}, "everyHours"),
    ("deletion", {"policy": "Maybe"}, 'supported values: "Shred", "Refuse"'),
    ("deletion", {"graceSeconds": -1}, "greater than or equal to 0"),
    ("deletion", {"graceSeconds": 7_776_001}, "less than or equal to 7776000"),
    ("deletion", {"graceSeconds": "1h"}, "spec.deletion.graceSeconds"),
]


@pytest.mark.parametrize(("name", "words"), NAMES)
def test_a_wrong_name_is_refused_in_words(cluster: Any, name: str, words: str) -> None:
    assert words in cluster.refused(tenant(name, {}), "--dry-run=server")


@pytest.mark.parametrize(
    ("field", "value", "words"), [pytest.param(*row, id=f"{row[0]}: {json.dumps(row[1])[:50]}") for row in VALUES]
)
def test_a_wrong_value_is_refused_in_words(cluster: Any, field: str, value: Any, words: str) -> None:
    assert words in cluster.refused(tenant("acme", {field: value}), "--dry-run=server")


def test_an_unknown_field_is_refused(cluster: Any) -> None:
    assert 'unknown field "spec.quota"' in cluster.refused(tenant("acme", {"quota": {}}), "--dry-run=server")


def test_every_field_of_the_spec_has_a_row(cluster: Any) -> None:
    crd = json.loads(cluster.run("get", "crd", "tenants.imagint.ai", "-o", "json"))
    fields = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
    assert {row[0] for row in VALUES} == set(fields)


@pytest.mark.parametrize(
    "spec",
    [
        pytest.param({}, id="the smallest"),
        pytest.param({"apiKeys": [KEY], "quotas": {"storage": "2Ti"}, "residency": {"region": "eu-central-1"}},
                     id="with keys"),
        pytest.param({"storage": {"database": "postgresql+psycopg://db/a", "objects": "s3://one",
                                  "treeCopies": ["s3://two", "file:///three"]}}, id="with places of its own"),
    ],
)  # fmt: skip
def test_a_good_one_is_accepted(cluster: Any, spec: dict[str, Any]) -> None:
    cluster.run("apply", "--dry-run=server", "-f", "-", stdin=json.dumps(tenant("acme", spec)))
