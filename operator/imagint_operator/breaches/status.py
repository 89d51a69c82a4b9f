"""Pure: what a breach obliges to, and how far that is done (GDPR 33 and 34).

The clock is computed from `spec.discoveredAt` at every look, so that no restart can lose it. Where we do nothing yet,
it says so and never counts as done.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from imagint_operator.api.breaches import BreachIncident, BreachIncidentStatus, ReportRef, Risk
from imagint_operator.conditions import Verdict, merged, no, unknown, yes
from imagint_privacy.clocks import breach_notification_due

COMPLETE = "Complete"
AUTHORITY_NOTIFIED = "AuthorityNotified"
OVERDUE = "Overdue"
SUBJECTS_INFORMED = "SubjectsInformed"
SUBJECTS_FOUND = "SubjectsFound"
KEYS_REWRAPPED = "KeysRewrapped"
NOT_REQUIRED = "NotRequired"
NOT_YET_EXECUTABLE = "NotYetExecutable"
SOON = timedelta(hours=24)


def judged(incident: BreachIncident, report: ReportRef | None, now: datetime) -> BreachIncidentStatus:
    """The status to write."""
    due = breach_notification_due(incident.spec.discovered_at).replace(microsecond=0)
    owed = [_authority(incident, due, now), _subjects(incident)]
    verdicts = [_complete(owed), *owed, _overdue(owed[0]), *_not_ours_yet()]
    generation = incident.metadata.generation
    conditions = merged(incident.status.conditions, verdicts, generation=generation, now=now)
    return BreachIncidentStatus(observed_generation=generation, notify_by=due, report=report, conditions=conditions)


def seconds_to_next(incident: BreachIncident, now: datetime) -> float | None:
    """After how many seconds the clock says something else; None when it will not."""
    if incident.spec.authority_notice is not None or incident.spec.risk is Risk.UNLIKELY:
        return None
    due = breach_notification_due(incident.spec.discovered_at)
    ahead = [moment for moment in (due - SOON, due + timedelta(seconds=1)) if moment > now]
    return min(((moment - now).total_seconds() for moment in ahead), default=None)


def _authority(incident: BreachIncident, due: datetime, now: datetime) -> Verdict:
    """GDPR 33(1)."""
    notice = incident.spec.authority_notice
    if notice is not None:
        late = notice.at > due
        return yes(AUTHORITY_NOTIFIED, "DoneLate" if late else "Done", f"reported at {notice.at:%Y-%m-%d %H:%M} UTC")
    if incident.spec.risk is Risk.UNLIKELY:
        message = "a risk to people is unlikely: it is recorded, not reported (GDPR 33(1) and 33(5))"
        return yes(AUTHORITY_NOTIFIED, NOT_REQUIRED, message)
    until = f"{due:%Y-%m-%d %H:%M} UTC"
    if now > due:
        message = f"it was to be reported by {until}: report it now, and say why it took longer (delayReason)"
        return no(AUTHORITY_NOTIFIED, OVERDUE, message)
    return no(AUTHORITY_NOTIFIED, "DueSoon" if now >= due - SOON else "Due", f"report it by {until} (GDPR 33(1))")


def _overdue(authority: Verdict) -> Verdict:
    """True is what somebody must act on at once."""
    say = yes if authority.reason == OVERDUE else no
    return say(OVERDUE, authority.reason, authority.message)


def _subjects(incident: BreachIncident) -> Verdict:
    """GDPR 34."""
    notice = incident.spec.subject_notice
    if notice is not None and notice.at is not None:
        return yes(SUBJECTS_INFORMED, "Done", f"the people were told at {notice.at:%Y-%m-%d %H:%M} UTC")
    if notice is not None and notice.exemption is not None:
        return yes(SUBJECTS_INFORMED, "Exempt", f"{notice.exemption}: they need not be told (GDPR 34(3))")
    if incident.spec.risk is Risk.HIGH_RISK:
        return no(SUBJECTS_INFORMED, "Due", "tell the people concerned without undue delay (GDPR 34(1))")
    return yes(SUBJECTS_INFORMED, NOT_REQUIRED, "the risk is not high: the people need not be told (GDPR 34(1))")


def _complete(owed: list[Verdict]) -> Verdict:
    missing = [verdict for verdict in owed if not verdict.holds]
    if missing:
        return no(COMPLETE, missing[0].reason, missing[0].message)
    return yes(COMPLETE, "ObligationsMet", "everything that the law asks for is recorded")


def _not_ours_yet() -> tuple[Verdict, Verdict]:
    """What the platform is to do itself one day. Nobody did it: unknown, never True."""
    found = "the people concerned are not looked up by this version: the figures in spec.affected are yours"
    wrapped = "this version does not wrap keys anew by itself: run `imagint key rewrap` for each tenant concerned"
    return (
        unknown(SUBJECTS_FOUND, NOT_YET_EXECUTABLE, found),
        unknown(KEYS_REWRAPPED, NOT_YET_EXECUTABLE, wrapped),
    )
