"""Setting Vault up: initialise, unseal, mounts, policies, roles, the evidence key.

The embedded Vault's unseal key lies in the state folder: development only. The root token lives for the moment of the
set-up and is revoked; when the set-up changes later, a new one is made with the unseal key and revoked again.
Nothing here can be asked to encrypt, decrypt or read a tenant key.
"""

from __future__ import annotations

import base64
import hashlib
import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from string import Template
from typing import Any

import httpx
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from imagint_dev.errors import PermanentError, RefusedError, RetryableError

SYSTEM = "imagint-system"
AUDIENCE = "vault"
TRANSIT, EVIDENCE, KUBERNETES = "transit", "evidence", "kubernetes"
EVIDENCE_KEY = "certificates"
CACHED_KEYS = 1000
ROLES: Mapping[str, tuple[str, str]] = {
    # role = policy: (ServiceAccount, namespace)
    "controller": ("imagint-controller", SYSTEM),
    "shredder": ("imagint-shredder", SYSTEM),
    "prober": ("imagint-prober", SYSTEM),
    "dataplane": ("imagint-dataplane", "*"),
}


RETIRED = ("operator",)
"""Roles and policies of earlier versions, which are taken away: it could do what is now two identities' work."""


@dataclass(frozen=True, slots=True)
class Login:
    """How Vault asks the apiserver about tokens."""

    server: str
    ca_pem: str
    reviewer_token: str


@dataclass(frozen=True, slots=True)
class SetUp:
    """All that is installed into Vault besides the login's token."""

    policies: Mapping[str, str]
    server: str
    ca_pem: str
    audit_file: str | None

    def digest(self) -> str:
        """Changes whenever Vault has to be set up anew."""
        parts = [dict(self.policies), dict(ROLES), RETIRED, self.server, self.ca_pem, self.audit_file, CACHED_KEYS]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


class VaultServer:
    """The few calls of Vault's HTTP API that setting up takes. Timeouts on all; the environment is ignored."""

    def __init__(self, address: str, token: str | None = None) -> None:
        self._address = address.rstrip("/")
        self._headers = {"X-Vault-Token": token} if token else {}
        secure = self._address.startswith("https:")
        self._context = ssl.create_default_context() if secure else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

    def with_token(self, token: str) -> VaultServer:
        """The same server, with rights."""
        return VaultServer(self._address, token)

    def call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """One request.

        Raises:
            RetryableError: unreachable, sealed or starting.
            RefusedError: any other error; the message names the path only.
        """
        try:
            with httpx.Client(timeout=10.0, verify=self._context, trust_env=False) as client:
                response = client.request(method, f"{self._address}/v1/{path}", json=body, headers=self._headers)
        except httpx.HTTPError as error:
            raise RetryableError(f"Vault is not reachable ({type(error).__name__})") from error
        if response.status_code in (429, 500, 502, 503, 504):
            raise RetryableError(f"Vault answers {response.status_code} to {method} {path}")
        if response.status_code >= 400:
            raise RefusedError(response.status_code, f"Vault refuses {method} {path}: {_reasons(response)}")
        answer: dict[str, Any] = response.json() if response.content else {}
        return answer

    def seal_status(self) -> tuple[bool, bool]:
        """Whether it is initialised, and whether it is sealed."""
        answer = self.call("GET", "sys/seal-status")
        return bool(answer["initialized"]), bool(answer["sealed"])

    def initialise(self) -> tuple[str, str]:
        """Makes a new Vault with one unseal key; gives that key and the root token."""
        answer = self.call("PUT", "sys/init", {"secret_shares": 1, "secret_threshold": 1})
        return str(answer["keys_base64"][0]), str(answer["root_token"])

    def unseal(self, key: str) -> None:
        """Opens the storage.

        Raises:
            PermanentError: the key does not fit.
        """
        try:
            sealed = self.call("PUT", "sys/unseal", {"key": key})["sealed"]
        except RefusedError as error:
            raise PermanentError(f"Vault refuses the unseal key of this state folder: {error}") from error
        if sealed:
            raise RetryableError("Vault is still sealed")

    def new_root_token(self, key: str) -> str:
        """A root token, made with the unseal key; whoever asks for one revokes it."""
        self.call("DELETE", "sys/generate-root/attempt")
        attempt = self.call("PUT", "sys/generate-root/attempt", {})
        done = self.call("PUT", "sys/generate-root/update", {"key": key, "nonce": attempt["nonce"]})
        encoded = str(done["encoded_token"])
        token = base64.b64decode(encoded + "=" * (-len(encoded) % 4))
        pad = str(attempt["otp"]).encode()
        return bytes(a ^ b for a, b in zip(token, pad, strict=True)).decode()

    def logged_in(self, role: str, jwt: str) -> VaultServer:
        """The same server, logged in with a ServiceAccount's token."""
        answer = self.call("POST", f"auth/{KUBERNETES}/login", {"role": role, "jwt": jwt})
        return self.with_token(str(answer["auth"]["client_token"]))

    def revoke_self(self) -> None:
        """Ends the token that this object uses."""
        self.call("POST", "auth/token/revoke-self")


def configure(vault: VaultServer, set_up: SetUp, login: Login) -> str:
    """Brings Vault to what `set_up` says, whatever it was before; gives the evidence key's public half as PEM.

    Raises:
        RetryableError: Vault went away meanwhile.
        RefusedError: the token lacks a right, or Vault does not know an engine.
    """
    _mount(vault, "sys/mounts", {TRANSIT: "transit", EVIDENCE: "transit"})
    _mount(vault, "sys/auth", {KUBERNETES: "kubernetes"})
    accessor = vault.call("GET", "sys/auth")["data"][f"{KUBERNETES}/"]["accessor"]
    for name, text in set_up.policies.items():
        vault.call("PUT", f"sys/policies/acl/{name}", {"policy": fill_in(text, accessor)})
    connection = {
        "kubernetes_host": login.server,
        "kubernetes_ca_cert": login.ca_pem,
        "token_reviewer_jwt": login.reviewer_token,
        "disable_local_ca_jwt": True,
    }
    vault.call("POST", f"auth/{KUBERNETES}/config", connection)
    for name, (account, namespace) in ROLES.items():
        vault.call("POST", f"auth/{KUBERNETES}/role/{name}", _role(name, account, namespace))
    for name in RETIRED:  # Vault answers the same whether there was one or not
        vault.call("DELETE", f"auth/{KUBERNETES}/role/{name}")
        vault.call("DELETE", f"sys/policies/acl/{name}")
    for mount in (TRANSIT, EVIDENCE):
        vault.call("POST", f"{mount}/config/keys", {"disable_upsert": True})
        vault.call("POST", f"{mount}/cache-config", {"size": CACHED_KEYS})
    if set_up.audit_file:
        _audit(vault, set_up.audit_file)
    return _evidence_key(vault)


def fill_in(policy: str, accessor: str) -> str:
    """A policy text with the accessor of the kubernetes auth mount in place."""
    return Template(policy).substitute(kubernetes_accessor=accessor)


def _role(name: str, account: str, namespace: str) -> dict[str, Any]:
    return {
        "bound_service_account_names": [account],
        "bound_service_account_namespaces": [namespace],
        "audience": AUDIENCE,
        "alias_name_source": "serviceaccount_uid",
        "token_policies": [name],
        "token_ttl": "20m",
        "token_max_ttl": "1h",
    }


def _mount(vault: VaultServer, where: str, wanted: Mapping[str, str]) -> None:
    present = vault.call("GET", where)["data"]
    for name, kind in wanted.items():
        if f"{name}/" not in present:
            vault.call("POST", f"{where}/{name}", {"type": kind})
        elif present[f"{name}/"]["type"] != kind:
            raise PermanentError(f"Vault has something else than {kind} mounted at {name}/")


def _audit(vault: VaultServer, path: str) -> None:
    if "file/" not in vault.call("GET", "sys/audit")["data"]:
        vault.call("PUT", "sys/audit/file", {"type": "file", "options": {"file_path": path, "mode": "0600"}})


def _evidence_key(vault: VaultServer) -> str:
    path = f"{EVIDENCE}/keys/{EVIDENCE_KEY}"
    vault.call("POST", path, {"type": "ed25519", "exportable": False, "allow_plaintext_backup": False})
    versions = vault.call("GET", path)["data"]["keys"]
    return "".join(_pem(versions[number]["public_key"]) for number in sorted(versions, key=int, reverse=True))


def _pem(raw: str) -> str:
    key = Ed25519PublicKey.from_public_bytes(base64.b64decode(raw))
    pem = key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return pem.decode()


def _reasons(response: httpx.Response) -> str:
    try:
        return "; ".join(str(reason) for reason in response.json().get("errors", []))[:300]
    except ValueError:
        return str(response.status_code)
