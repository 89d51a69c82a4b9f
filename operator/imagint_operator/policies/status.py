"""Pure: what a policy's status says. Says nothing that was not seen."""

from __future__ import annotations

from datetime import datetime

from imagint_operator.api.policies import Change, PolicyVersion, PrivacyPolicy, PrivacyPolicyStatus, Terms, VersionState
from imagint_operator.conditions import Verdict, merged, no, yes
from imagint_operator.policies import editions
from imagint_operator.policies.observations import Observed
from imagint_operator.policies.plan import Decision, Rest, in_force, versions

READY = "Ready"
PUBLISHED = "Published"
IN_FORCE = "InForce"
SUBJECTS_NOTIFIED = "SubjectsNotified"


def status(policy: PrivacyPolicy, observed: Observed, decision: Decision, now: datetime) -> PrivacyPolicyStatus:
    """The status to write."""
    listed = versions(policy, observed, now)
    terms = _terms(policy, observed, in_force(listed))
    published, force = _published(policy, listed, decision), _in_force(listed, terms)
    verdicts = (_ready(published, force), published, force, _notified(policy, listed, len(observed.tenants)))
    return PrivacyPolicyStatus(
        observed_generation=policy.metadata.generation,
        in_force=terms,
        versions=listed,
        tenants=len(observed.tenants),
        conditions=merged(policy.status.conditions, verdicts, generation=policy.metadata.generation, now=now),
    )


def _terms(policy: PrivacyPolicy, observed: Observed, version: PolicyVersion | None) -> Terms | None:
    """The terms of the edition in force, read from its ConfigMap; those before stay while it cannot be read."""
    before = policy.status.in_force
    if version is None or (before is not None and before.digest == version.digest):
        return before
    edition = editions.read(observed.editions.get(version.config_map))
    if edition is None or edition.digest != version.digest:
        return before
    return editions.terms(edition)


def _ready(published: Verdict, force: Verdict) -> Verdict:
    for part in (published, force):
        if not part.holds:
            return no(READY, part.reason, part.message)
    return yes(READY, "Ready", force.message)


def _published(policy: PrivacyPolicy, listed: tuple[PolicyVersion, ...], decision: Decision) -> Verdict:
    version = policy.spec.version
    if isinstance(decision, Rest) and decision.reason:
        return no(PUBLISHED, decision.reason, decision.message)
    found = next((known for known in listed if known.version == version), None)
    if found is None:
        return no(PUBLISHED, "Waiting", f"version {version} is not published yet")
    return yes(PUBLISHED, "Published", f"version {version} lies in ConfigMap {found.config_map}")


def _in_force(listed: tuple[PolicyVersion, ...], terms: Terms | None) -> Verdict:
    current = in_force(listed)
    coming = next((version for version in listed if version.state is VersionState.PENDING), None)
    then = f"; version {coming.version} takes force at {_shown(coming.effective_at)}" if coming else ""
    if current is None:
        return no(IN_FORCE, "NotYetEffective", f"no edition is in force{then}")
    if terms is None or terms.digest != current.digest:
        held = f"; the terms of version {terms.version} still bind" if terms else ""
        message = f"ConfigMap {current.config_map} of the edition in force is missing or was changed{held}"
        return no(IN_FORCE, "EditionUnreadable", message)
    return yes(IN_FORCE, "InForce", f"version {current.version} is in force{then}")


def _notified(policy: PrivacyPolicy, listed: tuple[PolicyVersion, ...], tenants: int) -> Verdict:
    """Honest about what is not done: the control plane knows no person and has no address to write to."""
    newest = listed[-1] if listed else None
    if newest is None or newest.version != policy.spec.version:
        return no(SUBJECTS_NOTIFIED, "NotPublished", "there is nothing to tell people about yet")
    if newest.change is Change.EDITORIAL:
        return yes(SUBJECTS_NOTIFIED, "NotNeeded", "an Editorial edition changes nothing that people must be told")
    if len(listed) == 1:
        return yes(SUBJECTS_NOTIFIED, "NotNeeded", "the first edition changes nothing")
    return no(
        SUBJECTS_NOTIFIED,
        "NoticesPending",
        f"version {newest.version} is Material: the people of {tenants} tenants must be told. This version of Imagint "
        "sends no notices; send them yourself",
    )


def _shown(moment: datetime) -> str:
    return moment.isoformat(timespec="minutes").replace("+00:00", "Z")
