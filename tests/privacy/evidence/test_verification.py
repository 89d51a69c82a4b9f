"""Verification: what is accepted, and each way of being refused with its reason."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from imagint_privacy import evidence as ev
from imagint_privacy.evidence import dsse, fakes
from imagint_privacy.evidence.documents import canonical

SIGNER, STRANGER = fakes.LocalSigner(b"\x01" * 32), fakes.LocalSigner(b"\x02" * 32)
KEY, STRANGE_KEY = SIGNER.public_key(), STRANGER.public_key()
NOW = fakes.RECEIVED + timedelta(days=1)
COMMITMENT = ev.commitment(fakes.HANDLE, fakes.SALT)
STATEMENT = ev.erasure_statement(fakes.erased(), subject=COMMITMENT)
CERTIFICATE = ev.certify(STATEMENT, SIGNER)


def altered(change: Callable[[dict[str, Any]], object], signer: fakes.LocalSigner | None = SIGNER) -> bytes:
    """The certificate with its statement altered; signed anew, or (None) under the old signature."""
    statement = json.loads(STATEMENT)
    change(statement)
    payload = canonical(statement)
    if signer is not None:
        return ev.certify(payload, signer)
    envelope = json.loads(CERTIFICATE)
    envelope["payload"] = base64.b64encode(payload).decode()
    return canonical(envelope)


def enveloped(**changes: Any) -> bytes:
    return canonical({k: v for k, v in {**json.loads(CERTIFICATE), **changes}.items() if v is not ...})


def signed_by(*signers: fakes.LocalSigner, payload: bytes = STATEMENT, hints: bool = True) -> bytes:
    envelopes = [dsse.sign(payload, signer) for signer in signers]
    signatures = tuple(s for e in envelopes for s in e.signatures)
    keys = tuple(k for e in envelopes for k in e.hints) if hints else ()
    return dsse.encode(dsse.Envelope(payload, dsse.PAYLOAD_TYPE, signatures, keys))


def test_a_genuine_certificate_is_verified() -> None:
    report = ev.verify(CERTIFICATE, [KEY], NOW)
    assert report.trusted
    assert report.key_id == ev.public_key(KEY).key_id
    assert report.predicate == fakes.erased()
    assert report.digest == ev.digest(CERTIFICATE)


def test_it_is_verified_when_reformatted_or_followed_by_a_newline() -> None:
    pretty = json.dumps(json.loads(CERTIFICATE), indent=2).encode()
    assert ev.verify(pretty, [KEY], NOW).trusted
    assert ev.verify(CERTIFICATE + b"\n", [KEY], NOW).digest == ev.digest(CERTIFICATE)


def test_one_trusted_signature_among_several_is_enough() -> None:
    both = signed_by(STRANGER, SIGNER)
    assert ev.verify(both, [KEY], NOW).key_id == ev.public_key(KEY).key_id
    assert ev.verify(both, [STRANGE_KEY, KEY], NOW).trusted


def test_it_needs_no_hint_when_the_key_is_trusted() -> None:
    assert ev.verify(signed_by(SIGNER, hints=False), [KEY], NOW).trusted


def test_an_intact_one_without_a_trusted_key_is_not_verified_but_shown() -> None:
    with pytest.raises(ev.SignerUntrustedError) as refusal:
        ev.verify(CERTIFICATE, [], NOW)
    report = refusal.value.report
    assert not report.trusted
    assert "anybody could have made it" in report.of(ev.Kind.CLAIMED)[0]
    assert not any("signed" in text for text in report.of(ev.Kind.PROVEN))


def drop(*path: str) -> Callable[[dict[str, Any]], object]:
    def change(statement: dict[str, Any]) -> object:
        place: Any = statement
        for step in path[:-1]:
            place = place[step]
        return place.pop(path[-1])

    return change


def put(value: Any, *path: str) -> Callable[[dict[str, Any]], object]:
    def change(statement: dict[str, Any]) -> object:
        place: Any = statement
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = value
        return None

    return change


def broken_second_signature() -> bytes:
    envelope = json.loads(signed_by(SIGNER, STRANGER))
    envelope["signatures"][1]["sig"] = envelope["signatures"][0]["sig"]
    return canonical(envelope)


def transplanted() -> bytes:
    """A genuine signature over another statement of the same issuer."""
    other = json.loads(altered(put("globex", "predicate", "request", "tenant"), SIGNER))
    return enveloped(signatures=other["signatures"])


P = "predicate"
MALFORMED, UNSUPPORTED = ev.MalformedCertificateError, ev.UnsupportedCertificateError
INVALID, UNKNOWN = ev.SignatureInvalidError, ev.SignerUnknownError
CONTRADICTION = ev.ContradictionError
REFUSED: dict[str, tuple[type[ev.CertificateRefusedError], bytes]] = {
    "an empty file": (MALFORMED, b""),
    "half a file": (MALFORMED, CERTIFICATE[: len(CERTIFICATE) // 2]),
    "something else": (MALFORMED, b'{"hello": "world"}'),
    "the statement changed under the old signature": (INVALID, altered(put("globex", P, "request", "tenant"), None)),
    "a signature of another statement": (INVALID, transplanted()),
    "a stranger's certificate": (UNKNOWN, signed_by(STRANGER)),
    "a stranger's certificate without a hint": (UNKNOWN, signed_by(STRANGER, hints=False)),
    "a stranger's signature added and broken": (INVALID, broken_second_signature()),
    "a stranger's signature under the trusted key's name": (
        INVALID,
        enveloped(
            signatures=[
                {
                    "keyid": ev.public_key(KEY).key_id,
                    "sig": json.loads(signed_by(STRANGER))["signatures"][0]["sig"],
                }
            ]
        ),
    ),
    "the trusted signature under another key's name": (
        INVALID,
        enveloped(hints=..., signatures=[{**json.loads(CERTIFICATE)["signatures"][0], "keyid": "0" * 64}]),
    ),
    "another in-toto type": (UNSUPPORTED, altered(put("https://in-toto.io/Statement/v2", "_type"))),
    "another predicate": (UNSUPPORTED, altered(put("https://slsa.dev/provenance/v1", "predicateType"))),
    "a newer version of the predicate": (
        UNSUPPORTED,
        altered(put("https://imagint.ai/attestations/erasure/v2", "predicateType")),
    ),
    "an unknown field": (MALFORMED, altered(put(True, P, "key", "hsm"))),
    "an unknown field on top": (MALFORMED, altered(put([], "signatures"))),
    "a field under its Python name": (MALFORMED, altered(put(4, P, "key", "from_version"))),
    "no subject": (MALFORMED, altered(put([], "subject"))),
    "two subjects": (MALFORMED, altered(lambda s: s["subject"].append(s["subject"][0]))),
    "a subject by name": (MALFORMED, altered(put([{"name": "jane", "digest": {"sha256": COMMITMENT}}], "subject"))),
    "a time with an offset": (MALFORMED, altered(put("2026-11-02T10:30:00+01:00", P, "clocks", "receivedAt"))),
    "a time without a zone": (MALFORMED, altered(put("2026-11-02T10:30:00", P, "clocks", "receivedAt"))),
    "a time as a number": (MALFORMED, altered(put(1793000000, P, "clocks", "receivedAt"))),
    "the thirtieth of February": (MALFORMED, altered(put("2026-02-30T10:30:00Z", P, "clocks", "receivedAt"))),
    "a time in the year nought": (MALFORMED, altered(put("0000-02-20T10:30:00Z", P, "clocks", "receivedAt"))),
    "a time that the calendar's end cuts off": (
        MALFORMED,
        altered(put("9999-12-31T23:59:59Z", P, "clocks", "receivedAt")),
    ),
    "a number as a text": (MALFORMED, altered(put("5", P, "key", "toVersion"))),
    "a truth as a number": (MALFORMED, altered(put(0, P, "key", "exportable"))),
    "an outcome nobody knows": (MALFORMED, altered(put("Mostly", P, "outcome"))),
    "a null where a field may be absent": (MALFORMED, altered(put(None, P, "clocks", "acknowledgedAt"))),
    "a time written at greater length": (MALFORMED, altered(put("2026-11-02T09:30:00.000000Z", P, "clocks", "doneAt"))),
    "a control sequence for the terminal": (MALFORMED, altered(put("\x1b[2J", P, "policyVersion"))),
    "a text that turns the line": (
        MALFORMED,
        altered(lambda s: s[P]["notCovered"][0].update(text="no \u202e\u2066data")),
    ),
    "a probe that did not pass": (
        CONTRADICTION,
        altered(lambda s: s[P]["probes"]["after"]["checks"][0].update(passed=False)),
    ),
    "no probes": (CONTRADICTION, altered(drop(P, "probes"))),
    "no exclusions": (MALFORMED, altered(put([], P, "notCovered"))),
}


@pytest.mark.parametrize(("kind", "content"), REFUSED.values(), ids=REFUSED.keys())
def test_refused_with_the_reason(kind: type[ev.CertificateRefusedError], content: bytes) -> None:
    with pytest.raises(ev.CertificateRefusedError) as refusal:
        ev.verify(content, [KEY], NOW)
    assert type(refusal.value) is kind
    assert str(refusal.value)
    assert "\x1b" not in str(refusal.value)


def test_a_hostile_fields_name_is_not_repeated() -> None:
    with pytest.raises(ev.MalformedCertificateError) as refusal:
        ev.verify(altered(put(1, P, "held", "records", "\x1b[31m jane@example.org")), [KEY], NOW)
    assert "jane" not in str(refusal.value)
    assert "\x1b" not in str(refusal.value)


@pytest.mark.parametrize("content", [signed_by(STRANGER, hints=False)])
def test_without_key_and_without_hint_nothing_can_be_said(content: bytes) -> None:
    with pytest.raises(ev.SignerUnknownError):
        ev.verify(content, [], NOW)


def test_a_damaged_one_is_refused_even_when_no_key_is_trusted() -> None:
    with pytest.raises(ev.SignatureInvalidError):
        ev.verify(altered(put("globex", P, "request", "tenant"), None), [], NOW)


def test_a_trusted_key_must_be_one() -> None:
    with pytest.raises(ev.TrustedKeyError):
        ev.verify(CERTIFICATE, ["no key"], NOW)


FITTING = ev.Expected(
    request=fakes.erased().request.uid,
    tenant="acme",
    digest=ev.digest(CERTIFICATE),
    subject=fakes.HANDLE,
    salt=fakes.SALT,
)
OTHERS = {
    "another request's (a replay)": ev.Expected(request="11111111-3f0e-4c0e-9c3e-2f8f6f0f2a11"),
    "another tenant's": ev.Expected(tenant="globex"),
    "another file": ev.Expected(digest="sha256:" + "0" * 64),
    "another subject's": ev.Expected(subject="subj-" + "a" * 26, salt=fakes.SALT),
    "under another salt": ev.Expected(subject=fakes.HANDLE, salt="00" * 32),
    "a subject without its salt": ev.Expected(subject=fakes.HANDLE),
    "a salt without its subject": ev.Expected(salt=fakes.SALT),
    "a subject that is no handle": ev.Expected(subject="jane@example.org", salt=fakes.SALT),
}


def test_what_was_expected_is_confirmed() -> None:
    report = ev.verify(CERTIFICATE, [KEY], NOW, FITTING)
    assert any("the subject that you named" in text for text in report.of(ev.Kind.PROVEN))


@pytest.mark.parametrize("expected", OTHERS.values(), ids=OTHERS.keys())
def test_a_genuine_one_about_something_else_is_refused(expected: ev.Expected) -> None:
    with pytest.raises(ev.MismatchError):
        ev.verify(CERTIFICATE, [KEY], NOW, expected)


def test_one_from_the_future_is_refused() -> None:
    with pytest.raises(ev.MismatchError):
        ev.verify(CERTIFICATE, [KEY], fakes.RECEIVED - timedelta(days=1))


def words(facts: ev.ErasurePredicate, now: datetime, kind: ev.Kind) -> str:
    certificate = ev.certify(ev.erasure_statement(facts, subject=COMMITMENT), SIGNER)
    return "\n".join(ev.verify(certificate, [KEY], now).of(kind))


def test_it_says_until_when_a_snapshot_could_bring_the_key_back() -> None:
    limits = words(fakes.erased(), NOW, ev.Kind.NOT_COVERED)
    assert "Until 2026-12-02T09:31:04Z (29 days from now) a snapshot of Vault could still" in limits


def test_it_says_when_that_day_has_passed() -> None:
    limits = words(fakes.erased(), datetime(2027, 1, 1, tzinfo=UTC), ev.Kind.NOT_COVERED)
    assert "Since 2026-12-02T09:31:04Z no snapshot of Vault is said to exist" in limits


def test_a_deadline_kept_is_proven_by_the_dates() -> None:
    assert "deadline was kept, with 29 days to spare" in words(fakes.erased(), NOW, ev.Kind.PROVEN)


def test_a_deadline_missed_is_said_not_hidden() -> None:
    late = fakes.erased().clocks.model_copy(update={"done_at": fakes.erased().clocks.due_by + timedelta(hours=5)})
    proven = words(fakes.erased(clocks=late), late.done_at, ev.Kind.PROVEN)
    assert "deadline was MISSED by 5 hours" in proven


def test_a_missing_probe_behind_nothing_held_is_said() -> None:
    claimed = words(fakes.nothing_held(), NOW, ev.Kind.CLAIMED)
    assert "No probe stands behind this finding" in claimed


def test_a_processor_that_has_not_answered_is_said() -> None:
    silent = fakes.erased().processors[0].model_copy(update={"result": "Unanswered"})
    claimed = words(fakes.erased(processors=(silent,)), NOW, ev.Kind.CLAIMED)
    assert "mailer was told and has NOT answered" in claimed


def test_the_scope_and_a_source_build_are_said() -> None:
    request = fakes.erased().request.model_copy(update={"scope": ("prompts",)})
    software = ev.Software(version="0.1.0")
    claimed = words(fakes.erased(request=request, operator=software), NOW, ev.Kind.CLAIMED)
    assert "to erase prompts." in claimed
    assert "none (run from sources)" in claimed


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(1, "1 second "), (59, "59 seconds "), (60, "1 minute "), (7200, "2 hours "), (86400, "1 day ")],
)
def test_margins_are_said_in_the_largest_unit(seconds: int, said: str) -> None:
    clocks = fakes.erased().clocks
    tight = clocks.model_copy(update={"due_by": clocks.done_at + timedelta(seconds=seconds)})
    assert f"kept, with {said}to spare" in words(fakes.erased(clocks=tight), NOW, ev.Kind.PROVEN)


def test_the_report_for_programs_holds_every_finding() -> None:
    report = ev.verify(CERTIFICATE, [KEY], NOW)
    answer = json.loads(json.dumps(report.as_json()))
    assert answer["verified"] is True
    assert sum(len(texts) for texts in answer["findings"].values()) == len(report.findings)
    assert answer["predicate"]["key"]["toVersion"] == 5
