"""Pure: what a policy needs now: to be published, and which of its editions is in force.

Rule 1  An edition is published once, as it was when it was first seen in time; nothing that is published is changed.
Rule 2  A Material edition is published only if so many calendar days are left until it is in force as its notice
        period has. The day of publication does not count (Regulation 1182/71, article 3(1)). The first edition changes
        nothing for anybody, and an Editorial one nothing that matters: both need no notice.
Rule 3  In force is the newest edition whose moment has come. What was published before it is Superseded, also an
        edition whose own moment has not come yet: it was overtaken.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from imagint_operator.api.policies import MOST_VERSIONS, Change, PolicyVersion, PrivacyPolicy, VersionState
from imagint_operator.policies import editions
from imagint_operator.policies.observations import Observed


@dataclass(frozen=True, slots=True)
class Publish:
    """Create the ConfigMap of the newest edition."""

    config_map: str


@dataclass(frozen=True, slots=True)
class Rest:
    """There is nothing to publish: it is published, or must not be, for this reason."""

    reason: str = ""
    message: str = ""


Decision = Publish | Rest


def plan(policy: PrivacyPolicy, observed: Observed, now: datetime) -> Decision:
    """What to do with the newest edition."""
    spec = policy.spec
    name = editions.config_map_name(policy.name, spec.version)
    there = observed.editions.get(name)
    if there is not None:
        edition = editions.read(there)
        if edition is None or edition.digest != editions.digest(editions.document(spec)):
            return Rest("VersionTaken", f"ConfigMap {name} holds something else: raise version")
        return Rest()
    if recorded := next((known for known in policy.status.versions if known.version == spec.version), None):
        same = recorded.digest == editions.digest(editions.document(spec))
        return Publish(name) if same else Rest("VersionTaken", f"version {spec.version} was published with other words")
    return _notice(policy, now) or Publish(name)


def versions(policy: PrivacyPolicy, observed: Observed, now: datetime) -> tuple[PolicyVersion, ...]:
    """Every edition that is published, oldest first, and where each stands."""
    known = {version.version: version for version in policy.status.versions}
    name = editions.config_map_name(policy.name, policy.spec.version)
    edition = editions.read(observed.editions.get(name))
    if (
        edition is not None
        and edition.digest == editions.digest(editions.document(policy.spec))
        and edition.spec.version not in known
    ):
        known[edition.spec.version] = PolicyVersion(
            version=edition.spec.version,
            effective_at=edition.spec.effective_at,
            published_at=edition.published_at,
            digest=edition.digest,
            config_map=edition.config_map,
            change=edition.spec.change,
            state=VersionState.PENDING,
        )
    listed = _bounded(tuple(known.values()), now)
    newest = max((place for place, version in enumerate(listed) if version.effective_at <= now), default=-1)
    return tuple(version.model_copy(update={"state": _state(place, newest)}) for place, version in enumerate(listed))


def _bounded(listed: tuple[PolicyVersion, ...], now: datetime) -> tuple[PolicyVersion, ...]:
    """The newest of them, and always the one in force, however many were published since."""
    force = next((version for version in reversed(listed) if version.effective_at <= now), None)
    kept = listed[-MOST_VERSIONS:]
    return kept if force is None or force in kept else (force, *kept[1:])


def in_force(listed: tuple[PolicyVersion, ...]) -> PolicyVersion | None:
    """The edition in force."""
    return next((version for version in listed if version.state is VersionState.IN_FORCE), None)


def next_moment(policy: PrivacyPolicy, now: datetime) -> datetime | None:
    """When the next edition takes force."""
    return min((version.effective_at for version in policy.status.versions if version.effective_at > now), default=None)


def wanted(policy: PrivacyPolicy, now: datetime) -> tuple[str, ...]:
    """The ConfigMaps to look for: the newest edition's, and those of editions that are or may come into force."""
    names = [editions.config_map_name(policy.name, policy.spec.version)]
    force = policy.status.in_force
    names += [
        version.config_map
        for version in policy.status.versions
        if version.effective_at <= now
        and version.state is not VersionState.SUPERSEDED
        and (force is None or force.digest != version.digest)
    ]
    return tuple(dict.fromkeys(names))


def _state(place: int, newest: int) -> VersionState:
    if place == newest:
        return VersionState.IN_FORCE
    return VersionState.SUPERSEDED if place < newest else VersionState.PENDING


def _notice(policy: PrivacyPolicy, now: datetime) -> Rest | None:
    """Rule 2."""
    spec = policy.spec
    if spec.change is not Change.MATERIAL or not policy.status.versions:
        return None
    earliest = now.astimezone(UTC).date() + timedelta(days=spec.notice_period_days)
    if spec.effective_at.astimezone(UTC).date() >= earliest:
        return None
    return Rest(
        "NoticeTooShort",
        f"version {spec.version} is Material and needs {spec.notice_period_days} days of notice: published today, it "
        f"can be in force from {earliest} on. Write a new version with a later effectiveAt; until then the edition "
        "before it stays",
    )
