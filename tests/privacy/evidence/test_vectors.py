"""The frozen bytes: made today as they were made, and checked by code that shares nothing with ours."""

from __future__ import annotations

import base64
import hashlib
import json
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path

import jsonschema
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from imagint_privacy import evidence as ev
from imagint_privacy.evidence import dsse, fakes
from imagint_privacy.evidence.schema import erasure_schema, shred_schema

VECTORS = Path(__file__).parents[2] / "vectors" / "evidence"
SIGNER = fakes.LocalSigner(bytes(range(32)))
FACTS = {"erased": fakes.erased(), "nothing-held": fakes.nothing_held()}
NAMES = list(FACTS)


@pytest.mark.parametrize("name", NAMES)
def test_statement_pae_and_certificate_are_made_as_they_were(name: str) -> None:
    statement = ev.erasure_statement(FACTS[name], subject=ev.commitment(fakes.HANDLE, fakes.SALT))
    assert statement == (VECTORS / f"{name}.statement.json").read_bytes()
    assert dsse.pae(dsse.PAYLOAD_TYPE, statement) == (VECTORS / f"{name}.pae").read_bytes()
    assert ev.certify(statement, SIGNER) == (VECTORS / f"{name}.certificate.json").read_bytes()


@pytest.mark.parametrize("name", NAMES)
def test_the_frozen_certificate_is_verified(name: str) -> None:
    key = (VECTORS / "evidence.pub").read_text()
    content = (VECTORS / f"{name}.certificate.json").read_bytes()
    expected = ev.Expected(subject=fakes.HANDLE, salt=fakes.SALT, tenant="acme")
    assert ev.verify(content, [key], datetime(2026, 12, 1, tzinfo=UTC), expected).trusted


@pytest.mark.parametrize("name", NAMES)
def test_a_stranger_verifies_it_from_the_dsse_specification_alone(name: str) -> None:
    envelope = json.loads((VECTORS / f"{name}.certificate.json").read_bytes())
    key = load_pem_public_key((VECTORS / "evidence.pub").read_bytes())
    assert isinstance(key, Ed25519PublicKey)
    payload = base64.b64decode(envelope["payload"])
    kind = envelope["payloadType"]
    message = f"DSSEv1 {len(kind)} {kind} {len(payload)} ".encode() + payload
    key.verify(base64.b64decode(envelope["signatures"][0]["sig"]), message)
    der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert envelope["signatures"][0]["keyid"] == hashlib.sha256(der).hexdigest()


@pytest.mark.parametrize("name", NAMES)
def test_the_commitment_is_checked_with_a_hash_function_alone(name: str) -> None:
    statement = json.loads((VECTORS / f"{name}.statement.json").read_bytes())
    preimage = b"imagint.ai/subject-commitment/v1\n" + bytes.fromhex(fakes.SALT) + fakes.HANDLE.encode()
    assert statement["subject"][0]["digest"]["sha256"] == hashlib.sha256(preimage).hexdigest()


@pytest.mark.parametrize("name", NAMES)
def test_the_frozen_statement_fits_the_published_schema(name: str) -> None:
    statement = json.loads((VECTORS / f"{name}.statement.json").read_bytes())
    jsonschema.Draft202012Validator(erasure_schema()).validate(statement)


def test_the_published_schema_is_the_one_of_the_types() -> None:
    published = resources.files("imagint_privacy.evidence") / "schemas" / "erasure-v1.schema.json"
    assert json.loads(published.read_text()) == erasure_schema()


def test_the_schema_demands_every_field_and_knows_no_other() -> None:
    schema = erasure_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    for name, part in schema["$defs"].items():
        if part["type"] == "object":
            assert part["additionalProperties"] is False, name
            assert part["required"], name


class TestATenantsEnd:
    """The frozen certificate of a tenant's end."""

    def test_statement_pae_and_certificate_are_made_as_they_were(self) -> None:
        statement = ev.shred_statement(fakes.shredded())
        assert statement == (VECTORS / "tenant-shred.statement.json").read_bytes()
        assert dsse.pae(dsse.PAYLOAD_TYPE, statement) == (VECTORS / "tenant-shred.pae").read_bytes()
        assert ev.certify(statement, SIGNER) == (VECTORS / "tenant-shred.certificate.json").read_bytes()

    def test_it_is_verified_and_says_so_in_plain_words(self) -> None:
        content = (VECTORS / "tenant-shred.certificate.json").read_bytes()
        key = (VECTORS / "evidence.pub").read_text()
        report = ev.verify(content, [key], datetime(2026, 12, 1, tzinfo=UTC), ev.Expected(tenant="acme"))
        assert report.trusted
        claimed = " ".join(report.of(ev.Kind.CLAIMED))
        assert "Vault destroyed key tenant-acme with every version of it, 4 to 5" in claimed
        assert "2 earlier certificates were carried over to shred-acme-5f0e1b7a-certificates-0" in claimed
        assert "were not deleted" in " ".join(report.of(ev.Kind.NOT_COVERED))

    def test_it_fits_the_published_schema(self) -> None:
        published = resources.files("imagint_privacy.evidence") / "schemas" / "tenant-shred-v1.schema.json"
        assert json.loads(published.read_text()) == shred_schema()
        statement = json.loads((VECTORS / "tenant-shred.statement.json").read_bytes())
        jsonschema.Draft202012Validator(shred_schema()).validate(statement)

    def test_the_tenant_is_named_with_a_hash_function_alone(self) -> None:
        statement = json.loads((VECTORS / "tenant-shred.statement.json").read_bytes())
        preimage = b"imagint.ai/tenant/v1\n" + statement["predicate"]["tenant"]["uid"].encode()
        assert statement["subject"][0]["digest"]["sha256"] == hashlib.sha256(preimage).hexdigest()
