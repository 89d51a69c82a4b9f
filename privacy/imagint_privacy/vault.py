"""Vault, and nothing but Vault: the only module that knows hvac.

Adapters of the ports in `keys.ports`. Every call has a timeout, logs nothing and raises our errors, which name the call
and never a body. A session logs in when it is first used, again before its token ends, and once more after a refusal.
No ambient VAULT_* variable, proxy or netrc is ever used.
"""

from __future__ import annotations

import base64
import re
import threading
import time
from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import requests
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hvac import exceptions
from hvac.adapters import JSONAdapter

from imagint_privacy.errors import (
    KeyDestroyedError,
    KeyForbiddenError,
    KeyMissingError,
    KeyRefusedError,
    KeysUnavailableError,
    PrivacyError,
)
from imagint_privacy.keys.ports import KeyState, Refusal

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_TRANSPORT: Final = (requests.exceptions.RequestException, OSError)
_DOWN: Final = (
    exceptions.VaultDown,
    exceptions.VaultNotInitialized,
    exceptions.InternalServerError,
    exceptions.BadGateway,
    exceptions.RateLimitExceeded,
    exceptions.UnexpectedError,
)
_TOO_OLD: Final = ("too old", "disallowed by policy", "version is lower", "invalid key version", "no longer available")
_NO_ENGINE: Final = "no handler for route"
_NO_KEY: Final = ("key not found", "no existing key named")
_NOT_AUTHENTIC: Final = ("unable to decrypt", "invalid ciphertext", "message authentication failed")
_RENEW_AT: Final = 0.5
_CONNECTIONS: Final = 32


class VaultSession:
    """One identity's session with one Vault; thread-safe."""

    def __init__(
        self,
        address: str,
        role: str,
        token_file: Path,
        *,
        auth_mount: str = "kubernetes",
        timeout: float = 5.0,
        ca_file: Path | None = None,
    ) -> None:
        self._login_body: Callable[[], dict[str, str]] | None = lambda: {"role": role, "jwt": _read(token_file)}
        self._auth_mount = auth_mount
        self.before_write: Callable[[], None] = lambda: None  # asked at the last instant; may refuse by raising
        self._adapter = _adapter(address, timeout, ca_file)
        self._lock = threading.Lock()
        self._until = 0.0
        self._failed = 0.0

    @classmethod
    def with_token(cls, address: str, token: str, *, timeout: float = 5.0) -> VaultSession:
        """Return a session that uses a token it is given: for tests and for setting Vault up."""
        session = cls(address, "", Path(), timeout=timeout)
        session._login_body = None
        session._adapter.token = token
        return session

    def call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Make one call and return its answer's data.

        Raises:
            KeysUnavailableError: Vault is sealed, unreachable, too slow, or refuses the log-in.
            KeyForbiddenError: the policy does not allow this.
            KeyMissingError: there is nothing at the path, or no such key.
            KeyDestroyedError: the version of the key that this needs is gone or disallowed, or never was.
            KeyRefusedError: Vault refuses the call for another reason.
        """
        token = self._token()
        try:
            return self._fenced(method, path, body)
        except KeyForbiddenError:
            if self._login_body is None:
                raise
        self._token(refused=token)
        return self._fenced(method, path, body)

    def _fenced(self, method: str, path: str, body: Mapping[str, Any] | None) -> dict[str, Any]:
        if method != "get":
            self.before_write()
        return self._send(method, path, body)

    def _token(self, refused: str | None = None) -> str:
        """Return a token that still lives, logging in if there is none or it was refused."""
        asked = time.monotonic()
        with self._lock:
            token: str = self._adapter.token or ""
            if self._login_body is None or (token not in {"", refused} and time.monotonic() < self._until):
                return token
            if self._failed > asked:  # one failure for all who waited for it: in a row, their timeouts would add up
                raise KeysUnavailableError("vault did not let another call log in")
            self._adapter.token = None
            try:
                answer = self._send("post", f"auth/{self._auth_mount}/login", self._login_body(), part="auth")
            except KeysUnavailableError:
                self._failed = time.monotonic()
                raise
            except PrivacyError:
                self._failed = time.monotonic()
                raise KeysUnavailableError("vault refuses the log-in", after=1.0) from None
            self._adapter.token = answer["client_token"]
            self._until = time.monotonic() + _RENEW_AT * float(answer.get("lease_duration") or 0)
            return str(answer["client_token"])

    def _send(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, *, part: str = "data"
    ) -> dict[str, Any]:
        what = f"{method} {path}"
        try:
            answer = self._adapter.request(method, f"/v1/{path}", json=None if body is None else dict(body))
        except _TRANSPORT as error:
            raise KeysUnavailableError(f"vault is unreachable: {what} ({type(error).__name__})") from None
        except _DOWN:
            raise KeysUnavailableError(f"vault is sealed or not ready: {what}") from None
        except exceptions.Forbidden:
            raise KeyForbiddenError(f"vault forbids {what}") from None
        except exceptions.InvalidPath as error:
            if _elsewhere(error):
                raise KeysUnavailableError(f"vault serves no such path: {what}") from None
            raise KeyMissingError(f"vault has nothing at {what}") from None
        except exceptions.VaultError as error:
            # Only Vault's own list of reasons counts: the page of a proxy in between may use the same words.
            raise _refused(what, "; ".join(map(str, error.errors or ()))) from None
        found = answer.get(part) if isinstance(answer, dict) else None
        return found if isinstance(found, dict) else {}


def _adapter(address: str, timeout: float, ca_file: Path | None) -> Any:
    session = requests.Session()
    session.trust_env = False
    session.verify = str(ca_file) if ca_file else True
    for scheme in ("http://", "https://"):
        session.mount(scheme, requests.adapters.HTTPAdapter(pool_maxsize=_CONNECTIONS))
    return JSONAdapter(base_uri=address, timeout=timeout, session=session, allow_redirects=False)


def _read(token_file: Path) -> str:
    """Read the identity's token, anew each time: it is renewed by replacing the file.

    Raises:
        KeysUnavailableError: it is not there yet.
    """
    try:
        return token_file.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        raise KeysUnavailableError("the identity's token for vault is not there yet") from None


def _elsewhere(error: exceptions.VaultError) -> bool:
    """Say whether a 404 tells nothing about a key: it is not Vault's own, or there is no engine at the path."""
    return error.errors is None or any(_NO_ENGINE in str(reason) for reason in error.errors)


def _refused(what: str, text: str) -> PrivacyError:
    """Name the reason of a refusal, whose text is not passed on."""
    if any(sign in text for sign in _NO_KEY):
        return KeyMissingError(f"no such key: {what}")
    if any(sign in text for sign in _TOO_OLD):
        return KeyDestroyedError(f"the version is gone: {what}")
    if any(sign in text for sign in _NOT_AUTHENTIC):
        return KeyDestroyedError(f"no version made this ciphertext: {what}")
    return KeyRefusedError(f"vault refuses {what}")


def _checked(name: str) -> str:
    """Return a key's name if it is one that can stand in a path.

    Raises:
        KeyMissingError: it cannot, so there is no such key.
    """
    if _NAME.fullmatch(name) is None:
        raise KeyMissingError("no key can have such a name")
    return name


def _text(answer: Mapping[str, Any], name: str) -> str:
    """Return a field of an answer.

    Raises:
        KeysUnavailableError: it is not there: this is no answer of a Vault that works (a redirect, a proxy's page).
    """
    found = answer.get(name)
    if not isinstance(found, str):
        raise KeysUnavailableError(f"vault answers without {name}")
    return found


def _encoded(raw: bytes) -> str:
    return base64.b64encode(raw).decode("ascii")


class TenantKey:
    """The data plane's view: wraps and unwraps the root key under its own tenant's key."""

    def __init__(self, session: VaultSession, name: str, *, mount: str = "transit") -> None:
        self.name = _checked(name)
        self._session = session
        self._mount = mount

    def encrypt(self, plain: bytes) -> str:
        """Return the ciphertext under the newest version; as `keys.ports.RootWrapper`."""
        answer = self._session.call("post", f"{self._mount}/encrypt/{self.name}", {"plaintext": _encoded(plain)})
        return _text(answer, "ciphertext")

    def decrypt(self, ciphertext: str) -> bytes:
        """Return the plain bytes; as `keys.ports.RootWrapper`."""
        answer = self._session.call("post", f"{self._mount}/decrypt/{self.name}", {"ciphertext": ciphertext})
        return base64.b64decode(_text(answer, "plaintext"))

    def state(self) -> KeyState | None:
        """Return the key's state, or None; as `keys.ports.KeyWatcher`."""
        return _state(self._session, self._mount, self.name)


def _state(session: VaultSession, mount: str, name: str) -> KeyState | None:
    try:
        data = session.call("get", f"{mount}/keys/{_checked(name)}")
    except KeyMissingError:
        return None
    if "latest_version" not in data:
        raise KeysUnavailableError("vault answers without the key's state")
    created = {int(version): _moment(made) for version, made in dict(data.get("keys") or {}).items()}
    return KeyState(
        name=name,
        latest_version=int(data["latest_version"]),
        min_decryption_version=int(data["min_decryption_version"]),
        min_encryption_version=int(data["min_encryption_version"]),
        min_available_version=int(data.get("min_available_version") or 0),
        exportable=bool(data["exportable"]),
        allow_plaintext_backup=bool(data["allow_plaintext_backup"]),
        deletion_allowed=bool(data["deletion_allowed"]),
        created_at=created,
    )


def _moment(made: object) -> str:
    """Return when a version was made: symmetric keys say it in Unix seconds, others as text."""
    if isinstance(made, dict):
        return str(made.get("creation_time", ""))
    if isinstance(made, int | float):
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(made))
    return str(made)


class KeyAdmin:
    """The operator's view: creates and destroys tenant keys; as `keys.ports.KeyAdmin`."""

    def __init__(self, session: VaultSession, *, mount: str = "transit") -> None:
        self._session = session
        self._mount = mount

    def ensure(self, name: str) -> KeyState:
        """Create the key unless it is there, never exportable, and return its state."""
        found = self.state(name)
        if found is None:
            kind = {"type": "aes256-gcm96", "exportable": False, "allow_plaintext_backup": False}
            self._session.call("post", self._path(name), kind)
            found = self.state(name)
        if found is None:
            raise KeysUnavailableError(f"vault does not show the new key {name}")
        return found

    def state(self, name: str) -> KeyState | None:
        """Return the key's state, or None."""
        return _state(self._session, self._mount, name)

    def upsert_disabled(self) -> bool:
        """Say whether encrypting under an unknown name is refused instead of creating the key."""
        try:
            return bool(self._session.call("get", f"{self._mount}/config/keys").get("disable_upsert"))
        except KeyMissingError:
            return False

    def rotate(self, name: str) -> int:
        """Add a version and return it."""
        self._session.call("post", self._path(name, "rotate"), {})
        return self._known(name).latest_version

    def raise_minimum(self, name: str, version: int) -> None:
        """Raise both minimums to a version; never lower them.

        hvac's own call refuses equal minimums, so the configuration is written directly.
        """
        state = self._known(name)
        wanted = {
            "min_decryption_version": max(version, state.min_decryption_version),
            "min_encryption_version": max(version, state.min_encryption_version),
        }
        if (state.min_decryption_version, state.min_encryption_version) != tuple(wanted.values()):
            self._session.call("post", self._path(name, "config"), wanted)

    def trim(self, name: str, version: int) -> None:
        """Destroy every version below this one, for good."""
        if self._known(name).min_available_version < version:
            self._session.call("post", self._path(name, "trim"), {"min_available_version": version})

    def destroy(self, name: str) -> None:
        """Destroy the whole key: rotate, raise, trim, delete, so that a half-done delete leaves nothing old."""
        if self.state(name) is None:
            return
        version = self.rotate(name)
        self.raise_minimum(name, version)
        self.trim(name, version)
        self._session.call("post", self._path(name, "config"), {"deletion_allowed": True})
        self._session.call("delete", self._path(name))

    def _path(self, name: str, verb: str = "") -> str:
        return f"{self._mount}/keys/{_checked(name)}" + (f"/{verb}" if verb else "")

    def _known(self, name: str) -> KeyState:
        state = self.state(name)
        if state is None:
            raise KeyMissingError(f"no transit key {name}")
        return state


class KeyProber:
    """The prober's view: looks, and tries to rewrap; as `keys.ports.KeyProber`."""

    def __init__(self, session: VaultSession, *, mount: str = "transit") -> None:
        self._session = session
        self._mount = mount

    def state(self, name: str) -> KeyState | None:
        """Return the key's state, or None."""
        return _state(self._session, self._mount, name)

    def refused(self, name: str, ciphertext: str) -> Refusal:
        """Ask Vault to rewrap a ciphertext, which never shows what is inside."""
        path = f"{self._mount}/rewrap/{_checked(name)}"
        try:
            self._session.call("post", path, {"ciphertext": ciphertext})
        except KeyMissingError:
            return Refusal(True, "key-missing")
        except KeyDestroyedError as error:
            return Refusal(True, "too-old" if str(error).startswith("the version") else "not-authentic")
        return Refusal(False, "accepted")


class EvidenceSigner:
    """Signs evidence with the newest version of an ed25519 key that never leaves Vault; as `keys.ports.Signer`."""

    def __init__(self, session: VaultSession, *, mount: str = "evidence", key: str = "certificates") -> None:
        self._session = session
        self._mount = mount
        self._key = _checked(key)

    @property
    def key_id(self) -> str:
        """Name the signing key: the SHA-256 of its public key in DER form, in hex."""
        return sha256(self._public().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()

    def sign(self, message: bytes) -> bytes:
        """Return the 64-byte signature."""
        answer = self._session.call("post", f"{self._mount}/sign/{self._key}", {"input": _encoded(message)})
        return base64.b64decode(_text(answer, "signature").rsplit(":", 1)[-1])

    def public_key(self) -> str:
        """Return the public key as PEM."""
        return self._public().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode("ascii")

    def _public(self) -> Ed25519PublicKey:
        data = self._session.call("get", f"{self._mount}/keys/{self._key}")
        versions = data.get("keys") or {"0": {}}
        newest = max(versions, key=int)
        return Ed25519PublicKey.from_public_bytes(base64.b64decode(_text(versions[newest], "public_key")))
