from __future__ import annotations

import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from imagint_dev import pki

NOW = datetime(2026, 11, 1, tzinfo=UTC)


def certificate(folder: Path, name: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate((folder / f"{name}.crt").read_bytes())


def test_every_certificate_is_signed_by_the_authority(tmp_path: Path) -> None:
    pki.ensure(tmp_path, NOW)
    authority = certificate(tmp_path, "ca").public_key()
    assert isinstance(authority, ec.EllipticCurvePublicKey)
    for leaf in pki.LEAVES:
        certificate(tmp_path, leaf.name).verify_directly_issued_by(certificate(tmp_path, "ca"))


def test_only_its_owner_reads_what_was_made(tmp_path: Path) -> None:
    folder = tmp_path / "pki"
    pki.ensure(folder, NOW)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}


def test_a_second_time_changes_nothing(tmp_path: Path) -> None:
    pki.ensure(tmp_path, NOW)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    pki.ensure(tmp_path, NOW + timedelta(days=300))
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_certificates_are_renewed_before_they_expire_and_keys_that_sign_stay(tmp_path: Path) -> None:
    pki.ensure(tmp_path, NOW)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    pki.ensure(tmp_path, NOW + timedelta(days=340))
    after = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    changed = {name for name in after if after[name] != before[name]}
    assert changed == {f"{leaf.name}.{end}" for leaf in pki.LEAVES for end in ("crt", "key")}


def test_a_client_certificate_cannot_serve_and_a_server_is_for_this_machine_only(tmp_path: Path) -> None:
    pki.ensure(tmp_path, NOW)
    admin, server = certificate(tmp_path, "admin"), certificate(tmp_path, "apiserver")
    uses = admin.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(uses) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    assert admin.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)[0].value == "system:masters"
    names = server.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [str(address) for address in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1"]
