"""Pure: an edition as it is published, and how it is read again.

An edition's document is its spec in one canonical form. Its digest is that of these bytes: whoever has the ConfigMap
can compute it with `sha256sum`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError

from imagint_operator import names
from imagint_operator.api.policies import PrivacyPolicy, PrivacyPolicySpec, Terms
from imagint_operator.api.requests import Category
from imagint_operator.api.retention import RetentionRule

FILE = "policy.json"
PUBLISHED_AT = "imagint.ai/published-at"
DIGEST = "imagint.ai/digest"
POLICY = "imagint.ai/policy"


@dataclass(frozen=True, slots=True)
class Edition:
    """An edition as its ConfigMap holds it."""

    config_map: str
    spec: PrivacyPolicySpec
    digest: str
    published_at: datetime


def config_map_name(policy: str, version: str) -> str:
    """Where an edition lies. Two editions never have the same place: a version has one of two forms."""
    return f"policy-{policy}-{version}"


def document(spec: PrivacyPolicySpec) -> str:
    """The edition in its one canonical form."""
    return json.dumps(spec.to_wire(), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def digest(text: str) -> str:
    """The SHA-256 of a document."""
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def config_map(policy: PrivacyPolicy, now: datetime) -> dict[str, Any]:
    """The immutable ConfigMap of the newest edition. It outlives its policy: people were promised what it says."""
    text = document(policy.spec)
    moment = now.astimezone(UTC).replace(microsecond=0).isoformat().replace("+00:00", "Z")
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": config_map_name(policy.name, policy.spec.version),
            "namespace": names.PLATFORM_NAMESPACE,
            "labels": {names.MANAGED_BY: names.OPERATOR, POLICY: policy.name},
            "annotations": {PUBLISHED_AT: moment, DIGEST: digest(text)},
        },
        "immutable": True,
        "data": {FILE: text},
    }


def read(found: Mapping[str, Any] | None) -> Edition | None:
    """The edition that a ConfigMap holds; None when it is not one, or not what its digest says."""
    if found is None or not found.get("immutable"):
        return None
    metadata = found["metadata"]
    annotations = metadata.get("annotations") or {}
    text = (found.get("data") or {}).get(FILE, "")
    if digest(text) != annotations.get(DIGEST):
        return None
    try:
        moment = datetime.fromisoformat(annotations.get(PUBLISHED_AT, ""))
        return Edition(metadata["name"], PrivacyPolicySpec.model_validate_json(text), digest(text), moment)
    except (ValidationError, ValueError):
        return None


def terms(edition: Edition) -> Terms:
    """What an edition binds tenants to. Categories that tenants' records are not in bind nobody here."""
    known = {category.value for category in Category}
    retention = tuple(
        RetentionRule(
            category=Category(category.name),
            keep_days=category.retention.keep_days,
            keep_months=category.retention.keep_months,
        )
        for category in edition.spec.categories
        if category.retention is not None and category.name in known
    )
    return Terms(
        version=edition.spec.version,
        effective_at=edition.spec.effective_at,
        digest=edition.digest,
        retention=retention,
        regions=edition.spec.regions,
    )
