"""Writing the stack's kubeconfigs and reading the one that a person names. It must never look at an ambient one."""

from __future__ import annotations

import base64
import binascii
import os
import ssl
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from imagint_dev import files
from imagint_dev.errors import SettingsError


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An apiserver and how to authenticate: a client certificate, or a token (read from its file at each use)."""

    server: str
    ca_pem: str
    certificate_pem: bytes | None = None
    key_pem: bytes | None = None
    token: str | None = None
    token_file: Path | None = None

    def bearer(self) -> str | None:
        """The token to send now, if any."""
        return self.token_file.read_text().strip() if self.token_file else self.token

    def context(self) -> ssl.SSLContext:
        """Trusts this CA only, and presents the client certificate."""
        context = ssl.create_default_context(cadata=self.ca_pem)
        if self.certificate_pem and self.key_pem:
            descriptor, name = tempfile.mkstemp()  # 0600; OpenSSL takes certificates from files only
            try:
                os.write(descriptor, self.certificate_pem + b"\n" + self.key_pem)
                os.close(descriptor)
                context.load_cert_chain(name)
            finally:
                Path(name).unlink()
        return context


def with_certificate(server: str, pki: Path, name: str) -> dict[str, Any]:
    """A kubeconfig whose user is a client certificate; everything inside, so that the file can be moved."""
    user = {"client-certificate-data": _data(pki / f"{name}.crt"), "client-key-data": _data(pki / f"{name}.key")}
    return _document(server, {"certificate-authority-data": _data(pki / "ca.crt")}, name, user)


def with_token_file(server: str, ca_pem: str, name: str, token_file: Path) -> dict[str, Any]:
    """A kubeconfig whose user is a token in a file that is renewed."""
    authority = {"certificate-authority-data": base64.b64encode(ca_pem.encode()).decode()}
    return _document(server, authority, name, {"tokenFile": str(token_file)})


def write(path: Path, document: dict[str, Any]) -> None:
    """Replaces a kubeconfig when it differs; it holds credentials: 0600."""
    text = yaml.safe_dump(document, sort_keys=False)
    if not path.exists() or path.read_text() != text:
        files.write(path, text)


def read(path: Path) -> Endpoint:
    """The current context of a kubeconfig.

    Raises:
        SettingsError: it cannot be read, or asks for a way of logging in that is not supported here.
    """
    try:
        document = yaml.safe_load(path.read_text())
        context = _named(document, "contexts", "context", document["current-context"])
        cluster = _named(document, "clusters", "cluster", context["cluster"])
        user = _named(document, "users", "user", context["user"])
        endpoint = Endpoint(
            server=str(cluster["server"]).rstrip("/"),
            ca_pem=(_bytes(cluster, "certificate-authority", path.parent) or b"").decode(),
            certificate_pem=_bytes(user, "client-certificate", path.parent),
            key_pem=_bytes(user, "client-key", path.parent),
            token=user.get("token"),
            token_file=path.parent / user["tokenFile"] if user.get("tokenFile") else None,
        )
    except OSError as error:
        raise SettingsError(f"cannot read {error.filename}: {error.strerror}") from error
    except (yaml.YAMLError, LookupError, TypeError, AttributeError, binascii.Error, UnicodeDecodeError) as error:
        # The document stays out of the message: it holds credentials.
        raise SettingsError(f"{path} is not a kubeconfig with a current context, a server and a user") from error
    if not endpoint.ca_pem:
        raise SettingsError(f"{path} names no certificate authority, and an unverified server is not used")
    if not (endpoint.key_pem or endpoint.token or endpoint.token_file):
        raise SettingsError(f"{path}: only client certificates and tokens are supported, not exec plugins or passwords")
    return endpoint


def _document(server: str, authority: dict[str, str], name: str, user: dict[str, str]) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "imagint", "cluster": {"server": server, **authority}}],
        "users": [{"name": name, "user": user}],
        "contexts": [{"name": "imagint", "context": {"cluster": "imagint", "user": name}}],
        "current-context": "imagint",
    }


def _data(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()


def _named(document: Any, section: str, field: str, name: str) -> dict[str, Any]:
    found: dict[str, Any] = {entry["name"]: entry[field] for entry in document[section]}[name]
    return found


def _bytes(section: dict[str, Any], field: str, folder: Path) -> bytes | None:
    if inline := section.get(f"{field}-data"):
        return base64.b64decode(inline, validate=True)
    return (folder / section[field]).read_bytes() if section.get(field) else None
