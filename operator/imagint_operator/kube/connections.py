"""Reads the operator's kubeconfig: one server, one CA, one token file whose every change counts.

Never looks at the ambient KUBECONFIG or at ~/.kube: the caller names the file.
"""

from __future__ import annotations

import base64
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from imagint_operator.errors import SettingsError


@dataclass(frozen=True, slots=True)
class Connection:
    """Where the apiserver is and how to prove who we are."""

    server: str
    ca_data: str | None
    token_file: Path | None
    static_token: str | None
    insecure: bool = False
    _read: dict[str, object] = field(default_factory=dict, repr=False, compare=False)
    """The token that was read last, and how its file looked: opening a file for each request costs more than asking."""

    def token(self) -> str:
        """The token as it is now: read anew whenever its file was written or replaced.

        Raises:
            OSError: the token file cannot be read.
        """
        if self.token_file is None:
            return self.static_token or ""
        found = self.token_file.stat()
        now = (found.st_ino, found.st_mtime_ns, found.st_size)
        if self._read.get("as") != now:
            self._read.update({"as": now, "token": self.token_file.read_text().strip()})
        return str(self._read["token"])

    def ssl_context(self) -> ssl.SSLContext:
        """How to know the server."""
        context = ssl.create_default_context(cadata=self.ca_data)
        if self.insecure:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return context


def load(path: Path) -> Connection:
    """Read a kubeconfig.

    Raises:
        SettingsError: the file is missing or says less than a server and a token.
    """
    try:
        config = yaml.safe_load(path.read_text())
        cluster, user = _current(config)
        ca_data = _text(cluster, "certificate-authority", path)
        token_file = user.get("tokenFile")
        return Connection(
            server=cluster["server"].rstrip("/"),
            ca_data=ca_data,
            token_file=(path.parent / token_file) if token_file else None,
            static_token=user.get("token"),
            insecure=bool(cluster.get("insecure-skip-tls-verify", False)),
        )
    except (OSError, yaml.YAMLError, KeyError, StopIteration, TypeError, AttributeError) as error:
        raise SettingsError(f"{path} is not a usable kubeconfig ({type(error).__name__})") from error


def _current(config: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    context = _named(config["contexts"], config["current-context"])["context"]
    return _named(config["clusters"], context["cluster"])["cluster"], _named(config["users"], context["user"])["user"]


def _named(items: list[dict[str, Any]], name: str) -> dict[str, Any]:
    return next(item for item in items if item["name"] == name)


def _text(part: dict[str, Any], field: str, path: Path) -> str | None:
    if data := part.get(f"{field}-data"):
        return base64.b64decode(data).decode()
    return (path.parent / part[field]).read_text() if field in part else None
