"""Prints the JSON Schema of the erasure statement: `python -m imagint_privacy.evidence.schema`.

The committed file is what is published; a test holds it to the types. A schema checks shapes only: whether the
statements fit together is for `imagint verify`.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from imagint_privacy.evidence.predicate import ERASURE_V1
from imagint_privacy.evidence.statements import ErasureStatement


def erasure_schema() -> dict[str, Any]:
    """The schema, as JSON Schema 2020-12."""
    schema = _explicit(ErasureStatement.model_json_schema(by_alias=True, mode="validation"))
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": ERASURE_V1, **schema}


def _explicit(node: Any) -> Any:
    """Say what the reader demands: every field written, save those that may be absent, and no null anywhere."""
    if isinstance(node, list):
        return [_explicit(item) for item in node]
    if not isinstance(node, dict):
        return node
    plain = {key: _explicit(value) for key, value in node.items()}
    if isinstance(node.get("properties"), dict):
        plain["required"] = sorted(
            name for name, field in node["properties"].items() if field.get("default", "") is not None
        )
        plain["properties"] = {name: _property(field) for name, field in plain["properties"].items()}
    return plain


def _property(field: dict[str, Any]) -> dict[str, Any]:
    field = {key: value for key, value in field.items() if key not in ("title", "default")}
    options = [option for option in field.pop("anyOf", []) if option != {"type": "null"}]
    return {**field, **options[0]} if options else field


if __name__ == "__main__":
    sys.stdout.write(json.dumps(erasure_schema(), indent=2, sort_keys=True) + "\n")
