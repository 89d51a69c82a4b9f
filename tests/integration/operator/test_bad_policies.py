"""What a person reads who writes a PrivacyPolicy or a DataProcessor wrongly, from a real apiserver."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

pytestmark = pytest.mark.stack
EXAMPLES = Path(__file__).resolve().parents[3] / "examples"
GONE = object()
DRY = "--dry-run=server"


def example(name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((EXAMPLES / f"{name}.yaml").read_text())
    return found


def changed(manifest: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """A copy with one field changed; numbers in the path are places in a list."""
    made = copy.deepcopy(manifest)
    *above, last = path.split(".")
    node: Any = made
    for part in above:
        node = node[int(part)] if isinstance(node, list) else node.setdefault(part, {})
    if value is GONE:
        del node[last]
    elif isinstance(node, list):
        node[int(last)] = value
    else:
        node[last] = value
    return made


def wrong(path: str, value: Any, says: str, id: str) -> Any:  # noqa: A002 - pytest's own name
    return pytest.param(path, value, says, id=id)


WRONG_POLICIES = [
    wrong("metadata.name", "Studio", "RFC 1123", "a name in capitals"),
    wrong("metadata.name", "1st", "begins with a letter", "a name that begins with a digit"),
    wrong("spec.version", "first", "version is a date (2026-11-25", "a version that is a word"),
    wrong("spec.version", "1.2", "three numbers", "a version of two numbers"),
    wrong("spec.version", GONE, "spec.version: Required", "no version"),
    wrong("spec.effectiveAt", "tomorrow", "must be of type date-time", "a moment that is none"),
    wrong("spec.effectiveAt", "1999-01-01T00:00:00Z", "effectiveAt must lie between 2000 and 2100", "last century"),
    wrong("spec.effectiveAt", GONE, "spec.effectiveAt: Required", "no moment"),
    wrong("spec.change", "Minor", "supported values", "a change of no known kind"),
    wrong("spec.noticePeriodDays", 0, "greater than or equal to 1", "no days of notice"),
    wrong("spec.noticePeriodDays", 400, "less than or equal to 365", "more than a year of notice"),
    wrong("spec.text", {}, "with inline or with reference", "no text"),
    wrong("spec.text.reference", {"url": "https://a.example/p", "sha256": "0" * 64}, "one of them only", "two texts"),
    wrong("spec.text", {"reference": {"url": "http://a.example", "sha256": "0" * 64}}, "spec.text.reference.url",
          "a text over plain HTTP"),
    wrong("spec.text", {"reference": {"url": "https://a.example", "sha256": "00"}}, "spec.text.reference.sha256",
          "a digest that is too short"),
    wrong("spec.clauses", [], "at least 1 item", "no clauses"),
    wrong("spec.clauses.0.id", "§ 1", "spec.clauses[0].id", "a clause's id with a blank"),
    wrong("spec.clauses.1.id", "1", "Duplicate", "two clauses of one id"),
    wrong("spec.clauses.0.controls", [], "at least 1 item", "a clause that nothing keeps"),
    wrong("spec.clauses.0.controls.0.type", "Hope", "supported values", "a control of no known kind"),
    wrong("spec.clauses.0.controls.0.ref", "two words", "spec.clauses[0].controls[0].ref", "a reference with a blank"),
    wrong("spec.categories", [], "at least 1 item", "no categories"),
    wrong("spec.categories.0.name", "Prompts", "spec.categories[0].name", "a category in capitals"),
    wrong("spec.categories.0.purposes", [], "at least 1 item", "a category without a purpose"),
    wrong("spec.categories.0.purposes", ["profit"], "a category names a purpose that purposes does not have",
          "a purpose that is not declared"),
    wrong("spec.categories.0.retention", {}, "with keepMonths or keepDays", "a retention without a term"),
    wrong("spec.categories.0.retention", {"keepDays": 1, "keepMonths": 1}, "one of them only", "two terms"),
    wrong("spec.categories.0.retention", {"keepDays": 0}, "greater than or equal to 1", "a term of no days"),
    wrong("spec.categories.0.retention", {"keepMonths": 1201}, "less than or equal to 1200", "more than a century"),
    wrong("spec.purposes", [], "at least 1 item", "no purposes"),
    wrong("spec.purposes.0.legalBasis", "Curiosity", "supported values", "a basis that the law does not know"),
    wrong("spec.purposes.0.optOut", "Maybe", "supported values", "an opt-out of no known kind"),
    wrong("spec.purposes.0.legalBasis", "Consent", "consent can be withdrawn", "consent that cannot be withdrawn"),
    wrong("spec.purposes.1.interest", GONE, "which legitimate interest", "an interest that is not said"),
    wrong("spec.minimumAge", 12, "greater than or equal to 13", "children of twelve"),
    wrong("spec.minimumAge", 22, "less than or equal to 21", "nobody under 22"),
    wrong("spec.regulations", [], "at least 1 item", "no law"),
    wrong("spec.regulations", ["LGPD"], "supported values", "a law that has no clock here"),
    wrong("spec.regions", [], "at least 1 item", "no region"),
    wrong("spec.regions", ["Europe"], "spec.regions[0]", "a region in words"),
    wrong("spec.transfers.0.safeguard", "None", "a transfer needs a safeguard", "a transfer that nothing protects"),
    wrong("spec.transfers.0.safeguard", "PrivacyShield", "supported values", "a safeguard that was struck down"),
    wrong("spec.transfers.0", {"to": "us", "safeguard": "Derogation"}, "article 49(1)", "a derogation unexplained"),
    wrong("spec.transfers.0.to", "U.S.", "spec.transfers[0].to", "a destination in words"),
    wrong("spec.contacts.0.role", "Representative", "must name the Controller", "no controller"),
    wrong("spec.contacts.0.email", "privacy", "spec.contacts[0].email", "a mailbox without a domain"),
    wrong("spec.authorities", GONE, "name a supervisory authority", "no authority under the GDPR"),
    wrong("spec.authorities.0.url", "dataprotection.ie", "spec.authorities[0].url", "an authority's bare domain"),
    wrong("spec.governingLaw.law", "", "at least 1 chars", "no governing law"),
    wrong("spec.breach.authorityHours", 73, "at most 72 where the GDPR applies", "73 hours under the GDPR"),
    wrong("spec.breach.authorityHours", 0, "greater than or equal to 1", "no hours"),
]  # fmt: skip

WRONG_PROCESSORS = [
    wrong("metadata.name", "1st", "begins with a letter", "a name that begins with a digit"),
    wrong("spec.displayName", "", "at least 1 chars", "no name"),
    wrong("spec.purpose", "Advertising", "supported values", "a purpose of no known kind"),
    wrong("spec.role", "Friend", "supported values", "a role that the law does not know"),
    wrong("spec.categories", [], "at least 1 item", "no categories"),
    wrong("spec.categories", ["Every Thing"], "spec.categories[0]", "a category in words"),
    wrong("spec.region", "USA", "spec.region", "a region in capitals"),
    wrong("spec.safeguard", "None", "inside the EEA only", "no safeguard outside the EEA"),
    wrong("spec.safeguard", "Derogation", "safeguardDetail", "a derogation unexplained"),
    wrong("spec.safeguard", "Trust", "supported values", "a safeguard of no known kind"),
    wrong("spec.contract", GONE, "spec.contract: Required", "no contract"),
    wrong("spec.contract.reference", "", "at least 1 chars", "a contract without a reference"),
    wrong("spec.tenants", {"selection": "Named"}, "names lists the tenants", "named tenants without names"),
    wrong("spec.tenants", {"names": ["acme"]}, "left out when it is All", "names beside All"),
    wrong("spec.tenants", {"selection": "Named", "names": ["Acme"]}, "spec.tenants.names[0]", "a tenant in capitals"),
    wrong("spec.erasure", GONE, "spec.erasure: Required", "no way to erase"),
    wrong("spec.erasure.protocol", "Fax", "supported values", "a protocol of no known kind"),
    wrong("spec.erasure.url", GONE, "need a url", "a webhook without an address"),
    wrong("spec.erasure.url", "http://support.example/hook", "url begins with https://", "plain HTTP"),
    wrong("spec.erasure.url", "http://127.0.0.1.example/hook", "url begins with https://", "a false loopback"),
    wrong("spec.erasure.url", "https://me:secret@support.example", "no user, no password", "a password in the url"),
    wrong("spec.erasure.url", "https://support.example/?key=1", "no query", "a query in the url"),
    wrong("spec.erasure.publicKey", "x" * 64, "public key in PEM form", "a key that is not PEM"),
    wrong("spec.erasure.dueDays", 0, "greater than or equal to 1", "no days"),
    wrong("spec.erasure.dueDays", 91, "less than or equal to 90", "more days than the law gives"),
    wrong("spec.erasure", {"protocol": "Manual", "url": "https://a.example"}, "Manual and None have none",
          "an address for a letter"),
    wrong("spec.erasure", {"protocol": "Manual"}, "Manual needs contact", "nobody to tell by hand"),
    wrong("spec.erasure", {"protocol": "None"}, "say in reason", "not told without a reason"),
    wrong("spec.erasure", {"protocol": "Manual", "contact": "ops"}, "spec.erasure.contact", "half a mailbox"),
]  # fmt: skip


@pytest.mark.parametrize("name", ["policy", "processor"])
def test_the_example_is_accepted(cluster: Any, name: str) -> None:
    cluster.run("apply", DRY, "-f", str(EXAMPLES / f"{name}.yaml"))


@pytest.mark.parametrize(("path", "value", "says"), WRONG_POLICIES)
def test_a_wrong_policy_is_refused_with_a_reason(cluster: Any, path: str, value: Any, says: str) -> None:
    assert says in cluster.refused(changed(example("policy"), path, value), DRY)


@pytest.mark.parametrize(("path", "value", "says"), WRONG_PROCESSORS)
def test_a_wrong_processor_is_refused_with_a_reason(cluster: Any, path: str, value: Any, says: str) -> None:
    assert says in cluster.refused(changed(example("processor"), path, value), DRY)


GREW = {"version": "2026-12-01"}
EDITIONS = [
    pytest.param({"minimumAge": 18}, "raise version", id="a change under the same version"),
    pytest.param({"version": "2026-11-24"}, "raise version", id="an older version"),
    pytest.param({"version": "9.0.0"}, "in the same form", id="another form of version"),
    pytest.param({"version": "2026-12-01", "change": "Editorial", "minimumAge": 18}, "is Material, not Editorial",
                 id="an editorial change of the minimum age"),
    pytest.param({"version": "2026-12-01", "change": "Editorial", "transfers": []}, "is Material, not Editorial",
                 id="an editorial end of all transfers"),
]  # fmt: skip


def edited(manifest: dict[str, Any], fields: dict[str, Any]) -> dict[str, Any]:
    for field, value in fields.items():
        manifest = changed(manifest, f"spec.{field}", value)
    return manifest


@pytest.mark.parametrize(("fields", "says"), EDITIONS)
def test_an_edition_grows_and_is_called_what_it_is(cluster: Any, fields: dict[str, Any], says: str) -> None:
    manifest = changed(example("policy"), "metadata.name", "grows")
    cluster.apply(manifest)
    assert says in cluster.refused(edited(manifest, fields), DRY)


@pytest.mark.parametrize(
    ("before", "after"),
    [("1.9.0", "1.10.0"), ("0.99.99", "1.0.0"), ("2026-11-25", "2026-11-25.1"), ("2026-11-25.9", "2026-11-26")],
)
def test_a_greater_version_is_taken_as_one(cluster: Any, before: str, after: str) -> None:
    name = f"from-{before.replace('.', '-')}"
    manifest = edited(changed(example("policy"), "metadata.name", name), {"version": before})
    cluster.apply(manifest)
    assert "raise version" in cluster.refused(edited(manifest, {"minimumAge": 18}), DRY)
    cluster.apply(edited(manifest, {"version": after, "minimumAge": 18}))
