"""Prints the JSON Schema of a statement: `python -m imagint_privacy.evidence.schema [tenant-shred]`.

The committed file is what is published; a test holds it to the types. A schema checks shapes only: whether the
statements fit together is for `imagint verify`.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from imagint_privacy.evidence.predicate import ERASURE_V1
from imagint_privacy.evidence.shred import TENANT_SHRED_V1
from imagint_privacy.evidence.statements import ErasureStatement, ShredStatement


def erasure_schema() -> dict[str, Any]:
    """The schema of erasures, as JSON Schema 2020-12."""
    return _schema(ErasureStatement, ERASURE_V1)


def shred_schema() -> dict[str, Any]:
    """The schema of tenants' ends, as JSON Schema 2020-12."""
    return _schema(ShredStatement, TENANT_SHRED_V1)


def _schema(statement: type[ErasureStatement] | type[ShredStatement], identity: str) -> dict[str, Any]:
    schema = _explicit(statement.model_json_schema(by_alias=True, mode="validation"))
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": identity, **schema}


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
    chosen = shred_schema() if "tenant-shred" in sys.argv[1:] else erasure_schema()
    sys.stdout.write(json.dumps(chosen, indent=2, sort_keys=True) + "\n")
