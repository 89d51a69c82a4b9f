"""Every admission policy on a real apiserver: samples that pass, and samples that it refuses in words.

A sample is one request, sent as somebody who may do everything by RBAC. A policy without samples of both kinds fails.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

pytestmark = pytest.mark.stack
POLICIES = Path(__file__).resolve().parents[3] / "policies"
SAMPLES = POLICIES / "samples"
KIND = "ValidatingAdmissionPolicy"
REFUSED = {403, 422}


def objects(kind: str) -> dict[str, Any]:
    files = sorted((POLICIES / "admission").glob("*.yaml"))
    found = (manifest for path in files for manifest in yaml.safe_load_all(path.read_text()))
    return {manifest["metadata"]["name"]: manifest for manifest in found if manifest["kind"] == kind}


NAMES = sorted(objects(KIND))


def samples(verdict: str) -> list[Any]:
    return [
        pytest.param(path, id=f"{path.parts[-3].removeprefix('imagint-')}: {path.stem.replace('-', ' ')}")
        for path in sorted(SAMPLES.glob(f"*/{verdict}/*.yaml"))
    ]


def read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(path.read_text())
    return found


@pytest.mark.parametrize("path", samples("pass"))
def test_what_is_right_passes(impersonator: Any, path: Path) -> None:
    answer = impersonator.send(read(path))
    assert answer.status_code < 400, answer.json()["message"]


@pytest.mark.parametrize("path", samples("fail"))
def test_what_is_wrong_is_refused_by_its_policy_in_words(impersonator: Any, path: Path) -> None:
    sample = read(path)
    answer = impersonator.send(sample)
    said = answer.json().get("message", "")
    assert answer.status_code in REFUSED, f"{answer.status_code} {said}"
    assert f"{KIND} '{path.parts[-3]}'" in said
    assert sample["message"] in said


@pytest.mark.parametrize("name", NAMES)
def test_a_policy_has_samples_of_both_kinds(name: str) -> None:
    assert list((SAMPLES / name / "pass").glob("*.yaml"))
    assert list((SAMPLES / name / "fail").glob("*.yaml"))


def test_samples_belong_to_policies_and_say_why() -> None:
    assert {path.name for path in SAMPLES.iterdir()} == set(NAMES)
    files = list(SAMPLES.glob("*/*/*.yaml"))
    assert not [path for path in files if not path.read_text().startswith("# ")]
    assert not [path for path in SAMPLES.glob("*/fail/*.yaml") if not read(path).get("message")]


def test_every_rule_of_every_policy_refuses_something() -> None:
    """A rule that no sample trips could be dropped without anybody noticing."""
    idle = []
    for name, policy in objects(KIND).items():
        said = [read(path)["message"] for path in (SAMPLES / name / "fail").glob("*.yaml")]
        for rule in policy["spec"]["validations"]:
            words = " ".join(rule.get("message", rule.get("messageExpression", "")).split())
            if not any(message in words for message in said):
                idle.append(f"{name}: {words[:60]}")
    assert not idle


@pytest.mark.parametrize(
    "reference",
    [
        pytest.param("CVE-2025-55205", id="a namespace hijacked by its label"),
        pytest.param("GHSA-2ww6-hf35-mfjm", id="and through its status"),
        pytest.param("GO-2026-5406", id="and through finalize"),
        pytest.param("GHSA-qjjm-7j9w-pw72", id="cluster-wide objects made by a tenant"),
        pytest.param("GO-2022-1135", id="rights gained by way of a ServiceAccount"),
    ],
)
def test_a_known_escape_is_tried(reference: str) -> None:
    assert [path for path in SAMPLES.glob("*/fail/*.yaml") if read(path).get("reference") == reference]


@pytest.mark.parametrize("name", NAMES)
def test_a_policy_fails_closed_is_bound_and_recorded(name: str) -> None:
    policy, binding = objects(KIND)[name], objects(KIND + "Binding")[name]
    assert policy["spec"]["failurePolicy"] == "Fail"
    assert binding["spec"]["policyName"] == name
    assert binding["spec"]["validationActions"] == ["Deny", "Audit"]
    assert "selector" not in str(binding["spec"]).lower()
    assert policy["spec"]["auditAnnotations"]


@pytest.mark.parametrize("name", NAMES)
def test_audit_annotations_and_messages_carry_ids_only(name: str) -> None:
    policy = objects(KIND)[name]
    texts = [entry["valueExpression"] for entry in policy["spec"]["auditAnnotations"]]
    texts += [rule["messageExpression"] for rule in policy["spec"]["validations"] if "messageExpression" in rule]
    for text in texts:
        told = set(re.findall(r"(?:request|object|oldObject)[.?\w]*", text))
        assert told <= {
            "request.operation", "request.resource.resource", "request.?subResource.orValue",
            "request.?namespace.orValue", "request.?name.orValue", "request.kind.kind", "request.namespace",
        }  # fmt: skip


PAGE = POLICIES.parent / "docs" / "multi-tenancy.md"
CHECKS = [line for line in PAGE.read_text().splitlines() if re.match(r"\| [A-Z].*\| [12] \|", line)]


def test_the_page_names_all_checks_of_the_multi_tenancy_benchmark() -> None:
    assert len(CHECKS) == 23


def test_the_page_names_the_sample_of_every_check_and_no_sample_that_is_gone() -> None:
    told = {path for line in CHECKS for path in re.findall(r"`([\w./-]+\.(?:yaml|py))`", line)}
    gone = [path for path in told if not ((SAMPLES / path).is_file() or (POLICIES.parent / path).is_file())]
    assert not gone
    for path in SAMPLES.glob("*/fail/*.yaml"):
        if check := read(path).get("benchmark"):
            line = next(line for line in CHECKS if line.startswith(f"| {check} |"))
            assert f"`{path.relative_to(SAMPLES)}`" in line
