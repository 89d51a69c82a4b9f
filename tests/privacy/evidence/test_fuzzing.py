"""Whatever is done to a certificate: refused with a named reason, never accepted, never a traceback."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from imagint_privacy import evidence as ev
from imagint_privacy.evidence import fakes
from imagint_privacy.evidence.documents import canonical

SIGNER = fakes.LocalSigner(b"\x01" * 32)
KEY = SIGNER.public_key()
NOW = fakes.RECEIVED + timedelta(days=1)
STATEMENT = ev.erasure_statement(fakes.erased(), subject=ev.commitment(fakes.HANDLE, fakes.SALT))
CERTIFICATE = ev.certify(STATEMENT, SIGNER)
# What a statement may honestly lack.
OPTIONAL = {
    "predicate.clocks.acknowledgedAt",
    "predicate.request.verification",
    "predicate.tree.incarnation",
    "predicate.operator.imageDigest",
}
QUICK = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=300)


def refused(content: bytes, keys: list[str] | None = None) -> None:
    with pytest.raises(ev.CertificateRefusedError) as refusal:
        ev.verify(content, [KEY] if keys is None else keys, NOW)
    assert str(refusal.value)


def signed(statement: Any) -> bytes:
    return ev.certify(canonical(statement), SIGNER)


def paths(value: Any, prefix: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, member in members:
        yield (*prefix, key)
        yield from paths(member, (*prefix, key))


def place(document: Any, path: tuple[str | int, ...]) -> Any:
    for step in path[:-1]:
        document = document[step]
    return document


PATHS = list(paths(json.loads(STATEMENT)))
FIELDS = [path for path in PATHS if isinstance(path[-1], str) and "records" not in path[:-1]]


@pytest.mark.parametrize("part", range(8))
def test_a_flipped_bit_in_any_byte_is_refused(part: int) -> None:
    for index in range(len(CERTIFICATE)):
        flipped = bytearray(CERTIFICATE)
        flipped[index] ^= 1 << (index + part) % 8
        if index % 8 == part:
            refused(bytes(flipped))


@QUICK
@given(index=st.integers(0, len(CERTIFICATE) - 1), bit=st.integers(0, 7))
def test_a_flipped_bit_anywhere_is_refused_without_a_trusted_key_too(index: int, bit: int) -> None:
    flipped = bytearray(CERTIFICATE)
    flipped[index] ^= 1 << bit
    try:
        ev.verify(bytes(flipped), [], NOW)
    except ev.SignerUntrustedError:
        pytest.fail("a damaged certificate passed for an intact one")
    except ev.CertificateRefusedError:
        return


@QUICK
@given(length=st.integers(0, len(CERTIFICATE) - 1))
def test_a_truncated_one_is_refused(length: int) -> None:
    refused(CERTIFICATE[:length])


@QUICK
@given(at=st.integers(0, len(CERTIFICATE)), junk=st.binary(min_size=1, max_size=20).filter(lambda b: b.strip()))
def test_inserted_bytes_are_refused(at: int, junk: bytes) -> None:
    if not set(junk) <= set(b" \t\r\n"):
        refused(CERTIFICATE[:at] + junk + CERTIFICATE[at:])


@QUICK
@given(content=st.binary(max_size=400))
def test_any_bytes_are_refused(content: bytes) -> None:
    refused(content)
    refused(content, [])


@QUICK
@given(payload=st.binary(max_size=200))
def test_any_payload_is_refused_even_under_the_trusted_signature(payload: bytes) -> None:
    refused(ev.certify(payload, SIGNER))


@pytest.mark.parametrize("path", FIELDS, ids=lambda path: ".".join(map(str, path)))
def test_a_missing_field_is_refused_even_under_the_trusted_signature(path: tuple[str | int, ...]) -> None:
    statement = json.loads(STATEMENT)
    del place(statement, path)[path[-1]]
    if ".".join(map(str, path)) in OPTIONAL:
        assert ev.verify(signed(statement), [KEY], NOW).trusted
    else:
        refused(signed(statement))


WRONG: st.SearchStrategy[Any] = st.sampled_from(
    [None, True, False, -1, 0, 2**53 - 1, "", "\x00", "subj-" + "a" * 26, "a@b.cd", [], [[]], {}, {"a": 1}, "9" * 600]
)


@settings(QUICK, max_examples=1500)
@given(path=st.sampled_from(PATHS), value=WRONG)
def test_a_field_of_another_kind_under_the_trusted_signature_is_refused_or_harmless(
    path: tuple[str | int, ...], value: Any
) -> None:
    statement = json.loads(STATEMENT)
    place(statement, path)[path[-1]] = value
    try:
        report = ev.verify(signed(statement), [KEY], NOW)
    except ev.CertificateRefusedError:
        return
    # Accepted only as what it says: counts that may be anything, and a member that may be empty.
    assert isinstance(report.predicate, ev.ErasurePredicate)
    assert report.predicate.probes is not None
    assert all(check.passed for check in report.predicate.probes.after.checks)
    assert not any(store.remaining for store in report.predicate.stores)
    assert json.loads(canonical(report.predicate.model_dump(mode="json", exclude_none=True))) == statement["predicate"]


@QUICK
@given(seed=st.binary(min_size=32, max_size=32).filter(lambda seed: seed != b"\x01" * 32))
def test_a_foreign_key_is_refused(seed: bytes) -> None:
    refused(ev.certify(STATEMENT, fakes.LocalSigner(seed)))


@QUICK
@given(member=st.sampled_from(["payload", "payloadType", "signatures", "hints"]), value=WRONG)
def test_an_envelope_with_a_member_of_another_kind_is_refused(member: str, value: Any) -> None:
    refused(canonical({**json.loads(CERTIFICATE), member: value}))


@QUICK
@given(signature=st.binary(min_size=64, max_size=64))
def test_any_other_signature_is_refused(signature: bytes) -> None:
    envelope = json.loads(CERTIFICATE)
    envelope["signatures"][0]["sig"] = base64.b64encode(signature).decode()
    refused(canonical(envelope))
