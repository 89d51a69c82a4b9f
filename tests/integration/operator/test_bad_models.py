"""Rollouts that make no sense are refused by the apiserver itself, in words that a person understands."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

pytestmark = pytest.mark.stack
NAMESPACE = "tenant-badmodels"
HASH = "0123456789abcdef"
ASKED = {"prompt": "a red circle", "hash": HASH}


def model(rollout: dict[str, Any], **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "imagint.ai/v1alpha1", "kind": "ModelDeployment",
        "metadata": {"name": "shapes", "namespace": NAMESPACE},
        "spec": {"source": {"type": "Bundled", "name": "shapes"}, "rollout": rollout, **spec},
    }  # fmt: skip


def probe(**fields: Any) -> dict[str, Any]:
    return model({"probe": fields})


@pytest.fixture(scope="module", autouse=True)
def namespace(cluster: Any) -> Iterator[None]:
    metadata = {"name": NAMESPACE, "labels": {"imagint.ai/tenant": "badmodels"}}
    cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
    yield
    cluster.run("delete", "namespace", NAMESPACE, "--wait=false")


@pytest.mark.parametrize(
    ("manifest", "words"),
    [
        pytest.param(model({"strategy": "Canary"}), 'supported values: "Surge", "Recreate"', id="an unknown strategy"),
        pytest.param(model({"progressDeadlineSeconds": 5}), "greater than or equal to 10", id="no time at all"),
        pytest.param(model({"progressDeadlineSeconds": 86401}), "less than or equal to 86400", id="more than a day"),
        pytest.param(model({"retry": "x y"}), "spec.rollout.retry", id="a word with a space"),
        pytest.param(probe(type="Beauty"), "supported values", id="an unknown probe"),
        pytest.param(probe(type="Golden"), "needs prompts that each have a hash", id="golden without prompts"),
        pytest.param(probe(type="Golden", prompts=[ASKED, {"prompt": "b"}]), "needs prompts that each have a hash",
                     id="golden with a prompt without a hash"),
        pytest.param(probe(type="Skip"), "gives a reason", id="skipped without a reason"),
        pytest.param(probe(type="Shapes", reason="because"), "no other type does", id="a reason for what is asked"),
        pytest.param(probe(prompts=[ASKED] * 9), "at most 8 items", id="nine prompts"),
        pytest.param(probe(prompts=[{"prompt": "x" * 513}]), "512", id="a prompt that is a book"),
        pytest.param(probe(prompts=[{"prompt": ""}]), "at least 1 char", id="an empty prompt"),
        pytest.param(probe(prompts=[{**ASKED, "hash": "beef"}]), "spec.rollout.probe.prompts[0].hash",
                     id="a short hash"),
        pytest.param(probe(prompts=[{**ASKED, "seed": -1}]), "greater than or equal to 0", id="a negative seed"),
        pytest.param(probe(prompts=[{**ASKED, "size": "big"}]), "prompts[0].size", id="a size in words"),
        pytest.param(probe(prompts=[{**ASKED, "size": "4096x4096"}]), "more pixels than limits.pixels",
                     id="a size beyond the limit"),
        pytest.param(probe(prompts=[{**ASKED, "steps": 51}]), "not be greater than limits.steps",
                     id="steps beyond the limit"),
        pytest.param(probe(maxDistance=33), "less than or equal to 32", id="a distance that lets all through"),
        pytest.param(probe(minScore=0), "greater than or equal to 1", id="a score that lets all through"),
        pytest.param(probe(attempts=11), "less than or equal to 10", id="attempts without end"),
    ],
)  # fmt: skip
def test_it_is_refused(cluster: Any, manifest: dict[str, Any], words: str) -> None:
    assert words in cluster.refused(manifest)


def test_a_golden_probe_is_taken(cluster: Any) -> None:
    cluster.apply(probe(type="Golden", prompts=[{**ASKED, "size": "32x32", "steps": 4}], maxDistance=0))
    found = cluster.get("modeldeployment", "shapes", NAMESPACE)["spec"]["rollout"]
    assert (found["strategy"], found["probe"]["minScore"], found["progressDeadlineSeconds"]) == ("Surge", 95, 600)
