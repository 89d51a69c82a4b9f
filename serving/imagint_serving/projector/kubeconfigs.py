"""Reading the projector's kubeconfig: one server, one CA, one token file.

Must not fall back to anything ambient: no default path, no environment, no client certificate.
"""

from __future__ import annotations

import base64
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from imagint_serving.projector.errors import KubeconfigError


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The apiserver's address, the CA that signs for it, and the file that holds our token now."""

    server: str
    ca_pem: str
    token_file: Path

    def tls(self) -> ssl.SSLContext:
        """Return a context that trusts this CA and no other."""
        return ssl.create_default_context(cadata=self.ca_pem)

    def token(self) -> str:
        """Read the token afresh: whoever issued it replaces the file before it expires.

        Raises:
            KubeconfigError: the file is missing or empty.
        """
        try:
            token = self.token_file.read_text().strip()
        except OSError as error:
            raise KubeconfigError(f"cannot read {self.token_file}: {error.strerror}") from error
        if not token:
            raise KubeconfigError(f"{self.token_file} is empty")
        return token


def read_endpoint(path: Path) -> Endpoint:
    """Read the kubeconfig's current context.

    Raises:
        KubeconfigError: it is missing, no kubeconfig, or lacks server, CA or token file.
    """
    try:
        document = yaml.safe_load(path.read_text())
        context = _named(document, "contexts", "context", document["current-context"])
        cluster = _named(document, "clusters", "cluster", context["cluster"])
        user = _named(document, "users", "user", context["user"])
        ca_pem = _certificate_authority(cluster, path.parent)
        return Endpoint(str(cluster["server"]), ca_pem, path.parent / str(user["tokenFile"]))
    except OSError as error:
        raise KubeconfigError(f"cannot read {error.filename}: {error.strerror}") from error
    except (yaml.YAMLError, LookupError, TypeError, ValueError) as error:
        # The document itself stays out of the message: it may hold a credential.
        raise KubeconfigError(f"{path} is not a kubeconfig with server, CA and tokenFile") from error


def _named(document: Any, section: str, field: str, name: str) -> dict[str, Any]:
    found: dict[str, Any] = {entry["name"]: entry[field] for entry in document[section]}[name]
    return found


def _certificate_authority(cluster: dict[str, Any], folder: Path) -> str:
    if "certificate-authority" in cluster:
        return (folder / str(cluster["certificate-authority"])).read_text()
    return base64.b64decode(cluster["certificate-authority-data"], validate=True).decode("ascii")
