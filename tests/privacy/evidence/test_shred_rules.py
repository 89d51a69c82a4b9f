"""Each fact of a tenant's end that does not hold keeps the certificate from being made, and from being believed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from imagint_privacy import evidence as ev
from imagint_privacy.evidence import documents, fakes, shred
from imagint_privacy.evidence import predicate as parts
from imagint_privacy.evidence.shred_rules import shred_problems

GOOD = fakes.shredded()
AT = fakes.RECEIVED
FAILED = parts.Check(name="key-gone", passed=False, detail="Vault still knows the key")
MANY = tuple("sha256:" + f"{number:064x}" for number in range(300))


def key(**changes: Any) -> dict[str, Any]:
    return {"key": GOOD.key.model_copy(update=changes)}


def clocks(**changes: Any) -> dict[str, Any]:
    return {"clocks": GOOD.clocks.model_copy(update=changes)}


CASES = [
    pytest.param(key(name="tenant-other"), "not the tenant's own", id="another tenant's key"),
    pytest.param(key(created_at=None), "age", id="a key without an age"),
    pytest.param(key(oldest_version=6), "newer than its newest", id="impossible versions"),
    pytest.param(clocks(begun_at=AT + timedelta(seconds=5)), "'begun' is earlier", id="begun within the grace time"),
    pytest.param(clocks(done_at=AT + timedelta(seconds=16)), "'done' is earlier", id="done before the key was gone"),
    pytest.param({"hold_check": parts.HoldCheck(checked_at=AT, active_holds=1)}, "legal hold", id="a legal hold"),
    pytest.param({"probes": shred.ShredProbes(after=parts.ProbeResult(observed_at=AT, checks=(FAILED,)))},
                 "did not pass", id="the prober still sees the key"),
    pytest.param({"probes": shred.ShredProbes(before=GOOD.probes.before,
                                              after=fakes.probe_result(("key-gone",), 21))},
                 "old-root-refused", id="the retained root was not tried"),
    pytest.param({"open_requests": GOOD.open_requests.model_copy(update={"count": 2})}, "fit its count",
                 id="a count that is not the list's"),
    pytest.param({"certificates": GOOD.certificates.model_copy(update={"list_digest": MANY[0]})}, "fit its digest",
                 id="a list that was changed"),
    pytest.param({"certificates": GOOD.certificates.model_copy(update={"config_maps": ()})}, "carried over to",
                 id="carried over to nowhere"),
    pytest.param({"irrecoverable_after": AT}, "before the key was destroyed", id="irrecoverable too early"),
    pytest.param({"not_covered": GOOD.not_covered[1:]}, "left out", id="an exclusion is left out"),
    pytest.param({"actors": GOOD.actors.model_copy(update={"prober": GOOD.actors.operator})}, "not independent",
                 id="the operator probes itself"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "words"), CASES)
def test_what_does_not_fit_is_not_certified(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ev.IncompleteEvidenceError, match=words):
        ev.shred_statement(fakes.shredded(**changes))


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        pytest.param({"data_plane": shred.DataPlane()}, "ProcessMemory", id="the data plane was not seen stopped"),
        pytest.param({"probes": shred.ShredProbes(after=fakes.probe_result(("key-gone",), 21))}, "RootNotRetained",
                     id="no root was retained"),
        pytest.param({"probes": shred.ShredProbes()}, "NotProbed", id="no prober answered"),
        pytest.param({"outcome": "KeyAlreadyGone", **key(created_at=None, exportable=None)}, "KeyAlreadyGone",
                     id="the key was gone before"),
        pytest.param(key(exportable=True), "KeyExportable", id="an exportable key"),
        pytest.param(key(allow_plaintext_backup=None), "KeyExportable", id="flags that are unknown"),
        pytest.param(key(upsert_disabled=False), "UpsertPossible", id="upsert was possible"),
    ],
)  # fmt: skip
def test_what_was_not_seen_is_said(changes: dict[str, Any], code: str) -> None:
    made = fakes.shredded(**changes)
    assert code in {exclusion.code for exclusion in made.not_covered}
    silent = made.model_copy(update={"not_covered": tuple(e for e in made.not_covered if e.code != code)})
    assert any(code in problem for problem in shred_problems(silent))
    certificate = ev.certify(ev.shred_statement(made), fakes.LocalSigner(bytes(32)))
    assert ev.verify(
        certificate, [fakes.LocalSigner(bytes(32)).public_key()], datetime(2026, 12, 1, tzinfo=UTC)
    ).trusted


def test_many_certificates_are_counted_and_digested_where_a_list_would_not_fit() -> None:
    carried = shred.CarriedOver(
        count=len(MANY), list_digest=shred.list_digest(MANY), digests=MANY[: shred.LISTED], config_maps=("shred-0",)
    )
    assert ev.shred_statement(fakes.shredded(certificates=carried))


def test_a_statement_about_another_tenant_than_its_subject_is_refused() -> None:
    document = documents.parse(ev.shred_statement(GOOD))
    document["subject"][0]["digest"]["sha256"] = "00" * 32
    certificate = ev.certify(documents.canonical(document), fakes.LocalSigner(bytes(32)))
    with pytest.raises(ev.ContradictionError, match="another tenant"):
        ev.verify(certificate, [fakes.LocalSigner(bytes(32)).public_key()], datetime(2026, 12, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    "expected",
    [
        pytest.param(ev.Expected(tenant="other"), id="another tenant"),
        pytest.param(ev.Expected(request="0b9cbd9c-3f0e-4c0e-9c3e-2f8f6f0f2a11"), id="one request"),
        pytest.param(ev.Expected(subject=fakes.HANDLE, salt=fakes.SALT), id="one subject"),
    ],
)
def test_it_is_not_taken_for_something_else(expected: ev.Expected) -> None:
    signer = fakes.LocalSigner(bytes(32))
    certificate = ev.certify(ev.shred_statement(GOOD), signer)
    with pytest.raises(ev.MismatchError):
        ev.verify(certificate, [signer.public_key()], datetime(2026, 12, 1, tzinfo=UTC), expected)


def _fields(node: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    if isinstance(node, dict):
        return [found for key, child in node.items() for found in [(*path, key), *_fields(child, (*path, key))]]
    if isinstance(node, list):
        return [found for index, child in enumerate(node) for found in _fields(child, (*path, index))]
    return []


MAY_BE_ABSENT = {"predicate.operator.imageDigest"}


@pytest.mark.parametrize(
    "path", _fields(documents.parse(ev.shred_statement(GOOD))), ids=lambda path: ".".join(map(str, path))
)
def test_a_missing_field_is_refused_even_under_the_trusted_signature(path: tuple[str | int, ...]) -> None:
    document = documents.parse(ev.shred_statement(GOOD))
    node: Any = document
    for part in path[:-1]:
        node = node[part]
    del node[path[-1]]
    signer = fakes.LocalSigner(bytes(32))
    certificate = ev.certify(documents.canonical(document), signer)
    if ".".join(map(str, path)) in MAY_BE_ABSENT:
        assert ev.verify(certificate, [signer.public_key()], datetime(2026, 12, 1, tzinfo=UTC)).trusted
        return
    with pytest.raises(ev.CertificateRefusedError):
        ev.verify(certificate, [signer.public_key()], datetime(2026, 12, 1, tzinfo=UTC))
