"""The manifests in crds/ are what the types say, and what the types say is bounded and readable."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import pytest
import yaml
from pydantic import Field

from imagint_operator.api import generate
from imagint_operator.api.base import ApiModel
from imagint_operator.api.crds import DEFINITIONS, Definition, manifest
from imagint_operator.api.schema import SchemaError, structural

CRDS = Path(__file__).resolve().parents[3] / "crds"
KINDS = [pytest.param(definition, id=definition.kind.__name__) for definition in DEFINITIONS]


def schema_of(definition: Definition) -> dict[str, Any]:
    schema: dict[str, Any] = manifest(definition)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return schema


def nodes(node: dict[str, Any], where: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    yield where, node
    for name, child in node.get("properties", {}).items():
        yield from nodes(child, f"{where}.{name}")
    if "items" in node:
        yield from nodes(node["items"], f"{where}[]")


def test_the_committed_manifests_are_those_of_the_types() -> None:
    assert generate.drift(CRDS) == []


def test_a_changed_a_missing_and_a_foreign_file_are_drift(tmp_path: Path) -> None:
    assert generate.main([str(tmp_path)]) == 0
    assert generate.main(["--check", str(tmp_path)]) == 0
    (tmp_path / "tenants.yaml").write_text("changed")
    (tmp_path / "modeldeployments.yaml").unlink()
    (tmp_path / "strangers.yaml").write_text("")
    assert generate.drift(tmp_path) == ["modeldeployments.yaml", "strangers.yaml", "tenants.yaml"]
    assert generate.main(["--check", str(tmp_path)]) == 1


@pytest.mark.parametrize("definition", KINDS)
def test_every_string_and_list_has_a_longest_form(definition: Definition) -> None:
    unbounded = [
        where
        for where, node in nodes(schema_of(definition))
        if (node.get("type") == "string" and "enum" not in node and "maxLength" not in node)
        or (node.get("type") == "array" and "maxItems" not in node)
    ]
    assert unbounded == []


@pytest.mark.parametrize("definition", KINDS)
def test_every_field_is_described(definition: Definition) -> None:
    envelope = {"", ".apiVersion", ".kind", ".metadata", ".metadata.name"}
    silent = [
        where
        for where, node in nodes(schema_of(definition))
        if where not in envelope and not where.endswith("[]") and not node.get("description")
    ]
    assert silent in ([], [".spec", ".status"])


@pytest.mark.parametrize("definition", KINDS)
def test_no_field_of_a_spec_is_a_boolean_and_no_status_has_a_phase(definition: Definition) -> None:
    found = dict(nodes(schema_of(definition)))
    assert [where for where, node in found.items() if where.startswith(".spec") and node.get("type") == "boolean"] == []
    assert ".status.phase" not in found


@pytest.mark.parametrize("definition", KINDS)
def test_people_see_a_top_condition_and_an_age(definition: Definition) -> None:
    spec = manifest(definition)["spec"]
    columns = [column["name"] for column in spec["versions"][0]["additionalPrinterColumns"]]
    assert {"Ready", "Complete", "Active"} & set(columns)
    assert columns[-1] == "Age"
    assert spec["names"]["categories"] == ["imagint"]
    assert spec["versions"][0]["subresources"] == {"status": {}}


def test_a_status_is_never_defaulted() -> None:
    for path in CRDS.glob("*.yaml"):
        version = yaml.safe_load(path.read_text())["spec"]["versions"][0]
        assert "default" not in version["schema"]["openAPIV3Schema"]["properties"]["status"], path.name


class _Union(ApiModel):
    value: Annotated[str, Field(max_length=3)] | int


class _Endless(ApiModel):
    value: str


class _EndlessList(ApiModel):
    value: tuple[int, ...]


class _FreeForm(ApiModel):
    value: dict[str, int]


@pytest.mark.parametrize(
    ("kind", "complaint"),
    [
        pytest.param(_Union, "no unions", id="a union has no structural form"),
        pytest.param(_Endless, "needs a max_length", id="a string without end is refused"),
        pytest.param(_EndlessList, "needs a max_length", id="a list without end is refused"),
        pytest.param(_FreeForm, "no additionalProperties", id="a free-form map is refused"),
    ],
)
def test_what_a_structural_schema_cannot_say_is_refused(kind: type[ApiModel], complaint: str) -> None:
    with pytest.raises(SchemaError, match=complaint):
        structural(kind)
