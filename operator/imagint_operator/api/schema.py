"""Pure rewriting of pydantic's JSON schema into a structural schema that a CustomResourceDefinition accepts.

Refuses what it cannot say structurally (unions, free-form maps) instead of guessing.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

JsonObject = dict[str, Any]

_DROPPED = frozenset({"title", "$defs", "discriminator", "examples"})
_KEPT = frozenset(
    {
        "type", "format", "description", "default", "enum", "properties", "required", "items", "pattern",
        "minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems", "maxProperties",
        "x-kubernetes-validations", "x-kubernetes-list-type", "x-kubernetes-list-map-keys",
    }
)  # fmt: skip
_DATE_TIME_LENGTH = 40


class SchemaError(Exception):
    """A type says something that a structural schema cannot."""


def structural(model: type[BaseModel]) -> JsonObject:
    """The structural schema of a type, without `metadata`: the apiserver owns that.

    Raises:
        SchemaError: the type uses a union or a keyword that has no structural form.
    """
    schema = model.model_json_schema(by_alias=True)
    schema["properties"].pop("metadata", None)
    return _rewrite(schema, schema.get("$defs", {}), model.__name__)


def _rewrite(node: JsonObject, definitions: JsonObject, where: str) -> JsonObject:
    node = _without_null(_inlined(node, definitions), definitions, where)
    result: JsonObject = {}
    for key, value in node.items():
        if key in _DROPPED or (key == "default" and value in (None, [])):
            continue
        if key == "const":
            result["enum"] = [value]
        elif key == "additionalProperties" and value is False:
            continue
        elif key not in _KEPT:
            raise SchemaError(f"{where}: a structural schema has no {key}")
        elif key == "properties":
            result[key] = {name: _rewrite(child, definitions, f"{where}.{name}") for name, child in value.items()}
        elif key == "items":
            result[key] = _rewrite(value, definitions, f"{where}[]")
        else:
            result[key] = _plain(key, value)
    return _bounded(result, where)


def _inlined(node: JsonObject, definitions: JsonObject) -> JsonObject:
    """Replace a reference by what it names; what stands beside it wins, and its rules are added."""
    if "$ref" not in node:
        return node
    beside = {key: value for key, value in node.items() if key != "$ref"}
    target = dict(definitions[node["$ref"].removeprefix("#/$defs/")])
    rules = [*target.get("x-kubernetes-validations", []), *beside.pop("x-kubernetes-validations", [])]
    merged = _inlined(target | beside, definitions)
    return merged | {"x-kubernetes-validations": rules} if rules else merged


def _without_null(node: JsonObject, definitions: JsonObject, where: str) -> JsonObject:
    """Optional means absent here, never null."""
    choices = node.get("anyOf")
    if choices is None:
        return node
    rest = [choice for choice in choices if choice.get("type") != "null"]
    if len(rest) != 1:
        raise SchemaError(f"{where}: a structural schema has no unions")
    beside = {key: value for key, value in node.items() if key != "anyOf"}
    return _inlined(rest[0], definitions) | beside


def _plain(key: str, value: Any) -> Any:
    if key == "description":
        return " ".join(value.split())
    return _without_nulls(value) if key == "default" else value


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(child) for key, child in value.items() if child is not None}
    return value


def _bounded(node: JsonObject, where: str) -> JsonObject:
    """Every string and list has a longest form: the apiserver's cost estimate for CEL stands on it."""
    if node.get("format") == "date-time":
        return node | {"maxLength": _DATE_TIME_LENGTH}
    if node.get("type") == "string" and "enum" not in node and "maxLength" not in node:
        raise SchemaError(f"{where}: a string needs a max_length")
    if node.get("type") == "array" and "maxItems" not in node:
        raise SchemaError(f"{where}: a list needs a max_length")
    return node
