"""Pure assembly of the CustomResourceDefinitions: names, scope, printer columns and the rewritten schemas."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from imagint_operator.api.base import GROUP, VERSION, Kind
from imagint_operator.api.breaches import BreachIncident
from imagint_operator.api.holds import LegalHold
from imagint_operator.api.models import ModelDeployment
from imagint_operator.api.policies import PrivacyPolicy
from imagint_operator.api.processors import DataProcessor
from imagint_operator.api.requests import DataSubjectRequest
from imagint_operator.api.schema import structural
from imagint_operator.api.tenants import Tenant


@dataclass(frozen=True, slots=True)
class Column:
    """One column of `kubectl get`. Priority 1 shows with `-o wide` only."""

    name: str
    path: str
    type: str = "string"
    priority: int = 0
    description: str = ""


@dataclass(frozen=True, slots=True)
class Definition:
    """What a CRD says beside its schema."""

    kind: type[Kind]
    plural: str
    short: str
    scope: str
    columns: tuple[Column, ...]


def condition(name: str, type_: str, field: str = "status", priority: int = 0) -> Column:
    """A column that shows one field of one condition."""
    return Column(name, f'.status.conditions[?(@.type=="{type_}")].{field}', priority=priority)


AGE = Column("Age", ".metadata.creationTimestamp", type="date")

DEFINITIONS = (
    Definition(
        kind=Tenant,
        plural="tenants",
        short="ten",
        scope="Cluster",
        columns=(
            Column("State", ".spec.state"),
            condition("Ready", "Ready"),
            condition("Gateway", "GatewayReady"),
            condition("Reason", "Ready", "reason"),
            Column("Key", ".status.key.version", type="integer", description="version of the tenant's key"),
            Column("Path", ".status.path"),
            Column("Region", ".spec.residency.region", priority=1),
            Column("Compute", ".spec.compute", priority=1),
            condition("Message", "Ready", "message", priority=1),
            AGE,
        ),
    ),
    Definition(
        kind=ModelDeployment,
        plural="modeldeployments",
        short="md",
        scope="Namespaced",
        columns=(
            Column("Source", ".spec.source.type"),
            condition("Ready", "Ready"),
            condition("Reason", "Ready", "reason"),
            Column("Min", ".spec.replicas.min", type="integer"),
            Column("Max", ".spec.replicas.max", type="integer"),
            Column("Probe ms", ".status.probe.milliseconds", type="integer", priority=1),
            condition("Message", "Ready", "message", priority=1),
            AGE,
        ),
    ),
    Definition(
        kind=DataSubjectRequest,
        plural="datasubjectrequests",
        short="dsr",
        scope="Namespaced",
        columns=(
            Column("Type", ".spec.type"),
            Column("Subject", ".spec.subject"),
            Column("Law", ".spec.regulation"),
            condition("Complete", "Complete"),
            condition("Reason", "Complete", "reason"),
            Column("Due", ".status.dueBy"),
            condition("Overdue", "Overdue"),
            Column("Step", '.status.steps[?(@.state=="Running")].name', priority=1),
            Column("Certificate", ".status.evidence.configMap", priority=1),
            condition("Message", "Complete", "message", priority=1),
            AGE,
        ),
    ),
    Definition(
        kind=LegalHold,
        plural="legalholds",
        short="lh",
        scope="Namespaced",
        columns=(
            Column("Target", ".spec.target.type"),
            Column("Subject", ".spec.target.subject"),
            Column("Why", ".spec.reasonCode"),
            condition("Active", "Active"),
            condition("Reason", "Active", "reason"),
            Column("Until", ".spec.until"),
            Column("Holding", ".status.holding", type="integer", description="erasures that wait for it"),
            condition("TooLate", "TooLateFor", priority=1),
            AGE,
        ),
    ),
    Definition(
        kind=BreachIncident,
        plural="breachincidents",
        short="bi",
        scope="Cluster",
        columns=(
            Column("Risk", ".spec.risk"),
            condition("Complete", "Complete"),
            condition("Reason", "Complete", "reason"),
            Column("Notify by", ".status.notifyBy"),
            condition("Authority", "AuthorityNotified", "reason"),
            condition("Subjects", "SubjectsInformed", "reason"),
            Column("Report", ".status.report.configMap", priority=1),
            condition("Message", "Complete", "message", priority=1),
            AGE,
        ),
    ),
    Definition(
        kind=PrivacyPolicy,
        plural="privacypolicies",
        short="pp",
        scope="Cluster",
        columns=(
            Column("Version", ".spec.version"),
            Column("In force", ".status.inForce.version"),
            condition("Ready", "Ready"),
            condition("Reason", "Ready", "reason"),
            Column("Tenants", ".status.tenants", type="integer"),
            Column("Effective", ".spec.effectiveAt", priority=1),
            Column("Change", ".spec.change", priority=1),
            condition("Message", "Ready", "message", priority=1),
            AGE,
        ),
    ),
    Definition(
        kind=DataProcessor,
        plural="dataprocessors",
        short="dp",
        scope="Cluster",
        columns=(
            Column("Purpose", ".spec.purpose"),
            Column("Region", ".spec.region"),
            Column("Safeguard", ".spec.safeguard"),
            Column("Erasure", ".spec.erasure.protocol"),
            condition("Ready", "Ready"),
            condition("Reason", "Ready", "reason"),
            condition("Message", "Ready", "message", priority=1),
            AGE,
        ),
    ),
)


def manifest(definition: Definition) -> dict[str, Any]:
    """The CustomResourceDefinition of one kind."""
    kind = definition.kind.__name__
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{definition.plural}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": definition.scope,
            "names": {
                "kind": kind,
                "listKind": f"{kind}List",
                "plural": definition.plural,
                "singular": kind.lower(),
                "shortNames": [definition.short],
                "categories": ["imagint"],
            },
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": _root(structural(definition.kind))},
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": [_column(column) for column in definition.columns],
                }
            ],
        },
    }


def _root(schema: dict[str, Any]) -> dict[str, Any]:
    """The top of a schema: the apiserver owns metadata, and a status is never defaulted."""
    properties = schema["properties"]
    status = {key: value for key, value in properties["status"].items() if key != "default"}
    envelope = {
        "apiVersion": {"type": "string", "maxLength": 64},
        "kind": {"type": "string", "maxLength": 64},
        "metadata": {"type": "object", "properties": {"name": {"type": "string", "maxLength": 253}}},
    }
    return schema | {"properties": envelope | {"spec": properties["spec"], "status": status}, "required": ["spec"]}


def _column(column: Column) -> dict[str, Any]:
    shown = {"name": column.name, "type": column.type, "jsonPath": column.path}
    if column.description:
        shown["description"] = column.description
    return shown | {"priority": column.priority} if column.priority else shown
