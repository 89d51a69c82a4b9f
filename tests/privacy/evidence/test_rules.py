"""No certificate without all of its proofs: each way to force one, refused by the builder and by the verifier."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from imagint_privacy.clocks import Regulation
from imagint_privacy.evidence import documents, dsse, fakes, predicate, rules
from imagint_privacy.evidence import statements as built
from imagint_privacy.evidence.errors import ContradictionError, IncompleteEvidenceError
from imagint_privacy.evidence.predicate import ErasurePredicate

GOOD = fakes.erased()
NOTHING = fakes.nothing_held()
COMMITMENT = built.commitment(fakes.HANDLE, fakes.SALT)
HOUR = timedelta(hours=1)
MOMENT = timedelta(seconds=10)


def but(part: str, **changes: Any) -> ErasurePredicate:
    """The good facts with one part changed."""
    return GOOD.model_copy(update={part: getattr(GOOD, part).model_copy(update=changes)})


def probing(when: str, name: str, *, present: bool = True, passed: bool = True) -> ErasurePredicate:
    """The good facts with one probe failed or left out."""
    assert GOOD.probes is not None
    result = getattr(GOOD.probes, when)
    checks = tuple(
        check.model_copy(update={"passed": passed}) if check.name == name else check
        for check in result.checks
        if present or check.name != name
    )
    return but("probes", **{when: result.model_copy(update={"checks": checks})})


def looked_at(when: str, shift: timedelta) -> ErasurePredicate:
    """The good facts with one look shifted in time."""
    assert GOOD.probes is not None
    result = getattr(GOOD.probes, when)
    return but("probes", **{when: result.model_copy(update={"observed_at": result.observed_at + shift})})


def without_exclusion(facts: ErasurePredicate, code: str) -> ErasurePredicate:
    return facts.model_copy(update={"not_covered": tuple(n for n in facts.not_covered if n.code != code)})


def ending(code: str, until: Any) -> ErasurePredicate:
    changed = (n.model_copy(update={"until": until}) if n.code == code else n for n in GOOD.not_covered)
    return GOOD.model_copy(update={"not_covered": tuple(changed)})


def twice() -> ErasurePredicate:
    assert GOOD.probes is not None
    result = GOOD.probes.after
    return but("probes", after=result.model_copy(update={"checks": (*result.checks, result.checks[0])}))


PROBER = GOOD.actors.prober
LAW = GOOD.clocks.due_by
FORCED = {
    "a legal hold stands": but("hold_check", active_holds=1),
    "the prober is the operator": but("actors", operator=PROBER),
    "the prober is the data plane": but("actors", data_plane=PROBER),
    "the due date is later than the law's": but("clocks", due_by=LAW + HOUR),
    "the extended due date is later than the law's": but("clocks", due_by=LAW + timedelta(days=70), extended=True),
    "the acknowledgement is later than the law's": but("clocks", acknowledge_by=LAW + HOUR),
    "the date is another regulation's": but("request", regulation=Regulation.OTHER).model_copy(
        update={"clocks": GOOD.clocks.model_copy(update={"due_by": LAW + timedelta(days=15)})}
    ),
    "nothing was held": but("held", paths=0, records={}, objects=0),
    "the key is another tenant's": but("key", name="tenant-globex"),
    "the version stayed": but("key", from_version=5),
    "the version fell": but("key", from_version=6),
    "the old version is still allowed": but("key", min_decryption_version=4),
    "the old version was not trimmed": but("key", min_available_version=4),
    "the key could be exported": but("key", exportable=True),
    "the key could be backed up in the clear": but("key", allow_plaintext_backup=True),
    "a late writer could make the key anew": but("key", upsert_disabled=False),
    "no copy of the tree": GOOD.model_copy(update={"copies": ()}),
    "a copy was not read back": GOOD.model_copy(
        update={"copies": (GOOD.copies[0].model_copy(update={"read_back": False}),)}
    ),
    "a copy is older than the tree": GOOD.model_copy(
        update={"copies": (GOOD.copies[0].model_copy(update={"generation": 17}),)}
    ),
    "no store": GOOD.model_copy(update={"stores": ()}),
    "a store has a remainder": GOOD.model_copy(
        update={"stores": (GOOD.stores[0], GOOD.stores[1].model_copy(update={"remaining": 1}))}
    ),
    "a probe is stated twice": twice(),
    "received after the hold check": but("hold_check", checked_at=fakes.RECEIVED - HOUR),
    "looked before the hold check": looked_at("before", -HOUR),
    "looked 'before' after the key was destroyed": looked_at("before", HOUR),
    "looked 'after' before the key was destroyed": looked_at("after", -HOUR),
    "done before the last look": but("clocks", done_at=fakes.RECEIVED),
    "done before the key was destroyed, by the same clock": but("clocks", done_at=GOOD.clocks.done_at - MOMENT),
    "looked 'after' before it looked 'before', by the same clock": looked_at("after", -MOMENT),
    "the hold was checked after the key was destroyed, by the same clock": but(
        "hold_check", checked_at=fakes.RECEIVED + timedelta(seconds=66)
    ),
    "the key was made after it was destroyed": but("key", created_at=fakes.RECEIVED + HOUR),
    "irrecoverable before the key was destroyed": GOOD.model_copy(update={"irrecoverable_after": fakes.RECEIVED}),
    "snapshots excluded for too short": ending("VaultSnapshots", fakes.RECEIVED + HOUR),
    "snapshots excluded without an end": ending("VaultSnapshots", None),
    "memory excluded for too short": ending("ProcessMemory", fakes.RECEIVED),
    "a handle in a text": ending("HandedOut", None).model_copy(
        update={"processors": (), "policy_version": fakes.HANDLE}
    ),
    "an e-mail address in a probe's words": but(
        "probes",
        after=predicate.ProbeResult(
            observed_at=GOOD.clocks.done_at,
            checks=tuple(
                predicate.Check(name=name, passed=True, detail="seen for jane.doe@example.org")
                for name in rules.CHECKS_AFTER
            ),
        ),
    ),
    **{f"no {part}": GOOD.model_copy(update={part: None}) for part in rules.ONLY_WHEN_ERASED},
    **{f"the exclusion {code} is left out": without_exclusion(GOOD, code) for code in rules.EXCLUDED_WHEN_ERASED},
    **{f"before: {n} did not pass": probing("before", n, passed=False) for n in rules.CHECKS_BEFORE},
    **{f"before: {n} was not made": probing("before", n, present=False) for n in rules.CHECKS_BEFORE},
    **{f"after: {n} did not pass": probing("after", n, passed=False) for n in rules.CHECKS_AFTER},
    **{f"after: {n} was not made": probing("after", n, present=False) for n in rules.CHECKS_AFTER},
    "nothing held, yet a record": NOTHING.model_copy(
        update={"held": predicate.Held(paths=0, records={"images": 1}, objects=0)}
    ),
    "nothing held, yet stores": NOTHING.model_copy(update={"stores": GOOD.stores}),
    "nothing held, yet copies": NOTHING.model_copy(update={"copies": GOOD.copies}),
    "nothing held, yet a hold": NOTHING.model_copy(update={"hold_check": but("hold_check", active_holds=2).hold_check}),
    "nothing held, done before it came": NOTHING.model_copy(
        update={"clocks": NOTHING.clocks.model_copy(update={"done_at": fakes.RECEIVED - HOUR})}
    ),
    **{
        f"nothing held, yet {part}": NOTHING.model_copy(update={part: getattr(GOOD, part)})
        for part in rules.ONLY_WHEN_ERASED
    },
    **{
        f"nothing held, the exclusion {code} is left out": without_exclusion(NOTHING, code)
        for code in rules.EXCLUDED_WHEN_NOTHING_HELD
    },
}


@pytest.mark.parametrize("facts", FORCED.values(), ids=FORCED.keys())
@pytest.mark.clause("6.1")
def test_such_a_certificate_cannot_be_built(facts: ErasurePredicate) -> None:
    with pytest.raises(IncompleteEvidenceError) as refusal:
        built.erasure_statement(facts, subject=COMMITMENT)
    assert refusal.value.problems


@pytest.mark.parametrize("facts", FORCED.values(), ids=FORCED.keys())
def test_such_a_certificate_is_refused_even_if_somebody_signed_it(facts: ErasurePredicate) -> None:
    subject = built.Subject(digest=built.DigestSet(sha256=COMMITMENT))
    statement = built.ErasureStatement(subject=(subject,), predicate=facts)
    forced = documents.canonical(statement.model_dump(mode="json", exclude_none=True))
    with pytest.raises(ContradictionError):
        built.read(forced)


@pytest.mark.parametrize("facts", [GOOD, NOTHING], ids=["erased", "nothing held"])
def test_facts_that_fit_are_certified(facts: ErasurePredicate) -> None:
    statement = built.read(built.erasure_statement(facts, subject=COMMITMENT))
    assert (statement.predicate, statement.commitment) == (facts, COMMITMENT)


def test_an_extended_deadline_is_certified_up_to_the_extension() -> None:
    extended = but("clocks", due_by=LAW + timedelta(days=60), extended=True)
    assert rules.problems(extended) == ()


def test_clocks_of_several_machines_may_differ_a_little() -> None:
    assert GOOD.probes is not None
    behind = timedelta(seconds=90)
    skewed = GOOD.probes.model_copy(
        update={
            "before": GOOD.probes.before.model_copy(update={"observed_at": GOOD.probes.before.observed_at - behind}),
            "after": GOOD.probes.after.model_copy(update={"observed_at": GOOD.probes.after.observed_at - behind}),
        }
    )
    assert rules.problems(GOOD.model_copy(update={"probes": skewed})) == ()


def test_every_objection_is_named_not_only_the_first() -> None:
    facts = but("key", exportable=True, upsert_disabled=False)
    with pytest.raises(IncompleteEvidenceError) as refusal:
        built.erasure_statement(facts, subject=COMMITMENT)
    assert len(refusal.value.problems) == 2


@pytest.mark.parametrize("subject", ["", "ab", "G" * 64, fakes.HANDLE])
def test_a_subject_that_is_no_commitment_is_refused(subject: str) -> None:
    with pytest.raises(IncompleteEvidenceError):
        built.erasure_statement(GOOD, subject=subject)


def test_the_handle_is_nowhere_in_the_statement() -> None:
    assert fakes.HANDLE.encode() not in built.erasure_statement(GOOD, subject=COMMITMENT)


@pytest.mark.parametrize(
    ("handle", "salt"),
    [("jane@example.org", fakes.SALT), (fakes.HANDLE, ""), (fakes.HANDLE, "5A" * 32), (fakes.HANDLE, "5a" * 31)],
)
def test_a_commitment_needs_a_handle_and_a_salt(handle: str, salt: str) -> None:
    with pytest.raises(ValueError, match="handle and a salt"):
        built.commitment(handle, salt)


def test_a_probers_answer_is_taken_over_as_it_is() -> None:
    answer = {
        "passed": True,
        "observed_at": "2026-11-02T09:31:01.250000Z",
        "checks": [{"name": "listing-empty", "passed": True, "detail": "0 records"}],
    }
    result = predicate.ProbeResult.from_answer(answer)
    assert result.checks[0].name == "listing-empty"
    assert result.observed_at.microsecond == 250_000


def test_a_cache_bound_is_rounded_up_never_down() -> None:
    assert predicate.Caches(bound_seconds=4.2).bound_seconds == 5


def test_a_statement_that_no_verifier_would_read_is_not_built() -> None:
    words = "\N{GRINNING FACE}" * 500
    checks = tuple(predicate.Check(name=f"check-{n}", passed=True, detail=words) for n in range(57))
    assert GOOD.probes is not None
    long = but("probes", after=GOOD.probes.after.model_copy(update={"checks": (*GOOD.probes.after.checks, *checks)}))
    before = GOOD.probes.before.model_copy(update={"checks": (*GOOD.probes.before.checks, *checks)})
    assert long.probes is not None
    longer = long.model_copy(update={"probes": long.probes.model_copy(update={"before": before})})
    with pytest.raises(IncompleteEvidenceError, match="larger than"):
        built.erasure_statement(longer, subject=COMMITMENT)


def test_the_largest_statement_still_makes_a_readable_certificate() -> None:
    payload = b"x" * built.MAX_STATEMENT
    assert dsse.decode(dsse.encode(dsse.sign(payload, fakes.LocalSigner(b"\x01" * 32)))).payload == payload
