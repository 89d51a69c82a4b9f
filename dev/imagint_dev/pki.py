"""Certificates and keys of one stack: a CA of its own, servers on 127.0.0.1, one client certificate per component.

The CA key lies on disk beside them (0600): whoever owns the state folder owns the stack. Development only.
"""

from __future__ import annotations

import base64
import ipaddress
import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from imagint_dev import files

_CA_LIFE, _LIFE, _MARGIN = timedelta(days=3650), timedelta(days=365), timedelta(days=30)
_SERVER, _CLIENT = ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH


@dataclass(frozen=True, slots=True)
class Leaf:
    """One certificate: file name, common name, organisation (= Kubernetes group), uses."""

    name: str
    common_name: str
    organisation: str | None
    uses: tuple[x509.ObjectIdentifier, ...]


LEAVES = (
    Leaf("apiserver", "kube-apiserver", None, (_SERVER,)),
    Leaf("etcd", "etcd", None, (_SERVER, _CLIENT)),
    Leaf("vault", "vault", None, (_SERVER,)),
    Leaf("apiserver-etcd", "kube-apiserver-etcd-client", None, (_CLIENT,)),
    Leaf("admin", "imagint-admin", "system:masters", (_CLIENT,)),
    Leaf("controller-manager", "system:kube-controller-manager", None, (_CLIENT, _SERVER)),
    Leaf("supervisor", "imagint:supervisor", "system:masters", (_CLIENT,)),
)


def ensure(folder: Path, now: datetime, random: bytes | None = None) -> None:
    """Makes what is missing, and certificates that are about to expire anew; keeps CA, signing and encryption keys."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    authority = _authority(folder, now)
    for leaf in LEAVES:
        if not _is_good(folder / f"{leaf.name}.crt", now):
            _issue(folder, leaf, authority, now)
    if not (folder / "service-account.key").exists():
        _service_account_keys(folder)
    if not (folder / "encryption.json").exists():
        files.write_json(folder / "encryption.json", encryption_configuration(random or os.urandom(32)))


def encryption_configuration(key: bytes) -> dict[str, object]:
    """How the apiserver encrypts Secrets in etcd."""
    secretbox = {"secretbox": {"keys": [{"name": "key1", "secret": base64.b64encode(key).decode()}]}}
    return {
        "apiVersion": "apiserver.config.k8s.io/v1",
        "kind": "EncryptionConfiguration",
        "resources": [{"resources": ["secrets"], "providers": [secretbox]}],
    }


def _is_good(path: Path, now: datetime) -> bool:
    if not path.exists():
        return False
    return x509.load_pem_x509_certificate(path.read_bytes()).not_valid_after_utc > now + _MARGIN


def _authority(folder: Path, now: datetime) -> tuple[x509.Certificate, CertificateIssuerPrivateKeyTypes]:
    certificate, key = folder / "ca.crt", folder / "ca.key"
    if not (certificate.exists() and key.exists()):
        private = ec.generate_private_key(ec.SECP256R1())
        name = _name("imagint-stack-ca", None)
        made = (
            _builder(name, name, private.public_key(), now, _CA_LIFE)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_key_usage(signs_certificates=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(private.public_key()), critical=False)
            .sign(private, hashes.SHA256())
        )
        _write(folder, "ca", private, made)
    loaded = serialization.load_pem_private_key(key.read_bytes(), None)
    if not isinstance(loaded, ec.EllipticCurvePrivateKey):
        raise TypeError("the CA key is not an elliptic curve key")
    return x509.load_pem_x509_certificate(certificate.read_bytes()), loaded


def _issue(
    folder: Path, leaf: Leaf, authority: tuple[x509.Certificate, CertificateIssuerPrivateKeyTypes], now: datetime
) -> None:
    issuer, issuer_key = authority
    private = ec.generate_private_key(ec.SECP256R1())
    subject = _name(leaf.common_name, leaf.organisation)
    builder = (
        _builder(subject, issuer.subject, private.public_key(), now, _LIFE)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(leaf.uses), critical=False)
    )
    if _SERVER in leaf.uses:
        builder = builder.add_extension(x509.SubjectAlternativeName(_local_names()), critical=False)
    _write(folder, leaf.name, private, builder.sign(issuer_key, hashes.SHA256()))


def _local_names() -> Iterable[x509.GeneralName]:
    names = ("localhost", "kubernetes", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local")
    return [x509.IPAddress(ipaddress.ip_address("127.0.0.1")), *(x509.DNSName(name) for name in names)]


def _name(common_name: str, organisation: str | None) -> x509.Name:
    parts = [x509.NameAttribute(NameOID.COMMON_NAME, common_name)]
    if organisation:
        parts.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation))
    return x509.Name(parts)


def _builder(
    subject: x509.Name, issuer: x509.Name, public: ec.EllipticCurvePublicKey, now: datetime, life: timedelta
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + life)
    )


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _write(folder: Path, name: str, private: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> None:
    files.write(folder / f"{name}.key", _pem(private))
    files.write(folder / f"{name}.crt", certificate.public_bytes(serialization.Encoding.PEM))


def _service_account_keys(folder: Path) -> None:
    # RSA, since not every verifier of ServiceAccount tokens takes anything else.
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    public = private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    files.write(folder / "service-account.pub", public)
    files.write(folder / "service-account.key", _pem(private))


def _pem(private: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> bytes:
    return private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
