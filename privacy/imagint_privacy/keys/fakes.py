"""True fakes of Vault's transit engine and of a tree store: small, in memory, with the real ones' rules.

For tests and examples. They pass the same contract suite as the real adapters. Nothing in production may import them.
"""

from __future__ import annotations

import base64
import os
import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from imagint_privacy.errors import (
    GenerationConflictError,
    KeyDestroyedError,
    KeyMissingError,
    KeyRefusedError,
    KeysUnavailableError,
)
from imagint_privacy.keys.ports import Alongside, Head, KeyState, Refusal, TreeChange


@dataclass
class _Transit:
    versions: dict[int, bytes]
    latest: int = 1
    min_decryption: int = 1
    min_encryption: int = 0
    min_available: int = 0
    deletion_allowed: bool = False
    created: dict[int, str] = field(default_factory=dict)


class FakeTransit:
    """A transit engine with versions, minimums and trimming; `sealed` and `unreachable` make every call fail.

    Its keys are of `since`: the n-th version of a key is n seconds younger.
    """

    def __init__(self, since: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self.since = since
        self.sealed = False
        self.unreachable = False
        self.calls: list[str] = []
        self._keys: dict[str, _Transit] = {}
        self._lock = threading.RLock()

    def tenant_key(self, name: str) -> FakeTenantKey:
        """Return the data plane's view of one key."""
        return FakeTenantKey(self, name)

    def admin(self) -> FakeKeyAdmin:
        """Return the operator's view."""
        return FakeKeyAdmin(self)

    def prober(self) -> FakeKeyProber:
        """Return the prober's view."""
        return FakeKeyProber(self)

    def signer(self) -> FakeSigner:
        """Return a signer of evidence."""
        return FakeSigner(self)

    def snapshot(self) -> dict[str, _Transit]:
        """Return a copy of the engine's storage, as a Vault snapshot would hold it."""
        with self._lock:
            return {name: _copied(key) for name, key in self._keys.items()}

    def restore(self, snapshot: dict[str, _Transit]) -> None:
        """Put a snapshot back."""
        with self._lock:
            self._keys = {name: _copied(key) for name, key in snapshot.items()}

    def reached(self, call: str) -> None:
        """Note a call, and fail it if the engine is switched off.

        Raises:
            KeysUnavailableError: the engine is sealed or unreachable.
        """
        self.calls.append(call)
        if self.unreachable:
            raise KeysUnavailableError("vault is unreachable")
        if self.sealed:
            raise KeysUnavailableError("vault is sealed")

    def key(self, name: str) -> _Transit:
        """Return a key.

        Raises:
            KeyMissingError: there is none of that name.
        """
        found = self._keys.get(name)
        if found is None:
            raise KeyMissingError(f"no transit key {name}")
        return found

    def state(self, name: str) -> KeyState | None:
        """Return a key's state."""
        self.reached("read")
        with self._lock:
            key = self._keys.get(name)
            if key is None:
                return None
            return KeyState(
                name=name,
                latest_version=key.latest,
                min_decryption_version=key.min_decryption,
                min_encryption_version=key.min_encryption,
                min_available_version=key.min_available,
                exportable=False,
                allow_plaintext_backup=False,
                deletion_allowed=key.deletion_allowed,
                created_at={v: at for v, at in key.created.items() if v >= max(key.min_decryption, 1)},
            )

    def create(self, name: str) -> None:
        """Add a key with one version, unless it is there."""
        with self._lock:
            if name not in self._keys:
                self._keys[name] = _Transit({1: os.urandom(32)}, created={1: self.since.isoformat()})

    def remove(self, name: str) -> None:
        """Remove a key."""
        with self._lock:
            self._keys.pop(name, None)


def _copied(key: _Transit) -> _Transit:
    return _Transit(
        dict(key.versions),
        key.latest,
        key.min_decryption,
        key.min_encryption,
        key.min_available,
        key.deletion_allowed,
        dict(key.created),
    )


class FakeTenantKey:
    """Encrypts and decrypts under one key."""

    def __init__(self, engine: FakeTransit, name: str) -> None:
        self._engine = engine
        self.name = name

    def encrypt(self, plain: bytes) -> str:
        """Return the ciphertext under the newest version; an unknown key is refused, never created."""
        self._engine.reached("encrypt")
        key = self._engine.key(self.name)
        nonce = os.urandom(12)
        body = nonce + AESGCM(key.versions[key.latest]).encrypt(nonce, plain, None)
        return f"vault:v{key.latest}:{base64.b64encode(body).decode()}"

    def decrypt(self, ciphertext: str) -> bytes:
        """Return the plain bytes, unless the version is gone or disallowed."""
        self._engine.reached("decrypt")
        key = self._engine.key(self.name)
        version, body = int(ciphertext.split(":")[1][1:]), base64.b64decode(ciphertext.split(":")[2])
        if version < key.min_decryption or version not in key.versions:
            raise KeyDestroyedError(f"version {version} of {self.name} is gone")
        try:
            return AESGCM(key.versions[version]).decrypt(body[:12], body[12:], None)
        except InvalidTag:
            raise KeyDestroyedError(f"no version of {self.name} made this ciphertext") from None

    def state(self) -> KeyState | None:
        """Return the key's state, or None."""
        return self._engine.state(self.name)


class FakeKeyAdmin:
    """Creates and destroys keys."""

    def __init__(self, engine: FakeTransit) -> None:
        self._engine = engine

    def ensure(self, name: str) -> KeyState:
        """Create the key unless it is there."""
        self._engine.reached("create")
        self._engine.create(name)
        state = self._engine.state(name)
        if state is None:
            raise KeyMissingError(f"no transit key {name}")
        return state

    def state(self, name: str) -> KeyState | None:
        """Return the key's state, or None."""
        return self._engine.state(name)

    def upsert_disabled(self) -> bool:
        """Say that unknown keys are never created by encrypting."""
        self._engine.reached("config")
        return True

    def rotate(self, name: str) -> int:
        """Add a version."""
        self._engine.reached("rotate")
        key = self._engine.key(name)
        key.latest += 1
        key.versions[key.latest] = os.urandom(32)
        key.created[key.latest] = (self._engine.since + timedelta(seconds=key.latest)).isoformat()
        return key.latest

    def raise_minimum(self, name: str, version: int) -> None:
        """Raise both minimums."""
        self._engine.reached("config")
        key = self._engine.key(name)
        if version > key.latest:
            raise KeyRefusedError(f"{name} has no version {version}")
        key.min_decryption = max(key.min_decryption, version)
        key.min_encryption = max(key.min_encryption, version)

    def trim(self, name: str, version: int) -> None:
        """Destroy the versions below."""
        self._engine.reached("trim")
        key = self._engine.key(name)
        if version > min(key.min_decryption, key.min_encryption):
            raise KeyRefusedError(f"{name} cannot be trimmed above its minimums")
        key.min_available = max(key.min_available, version)
        for old in [v for v in key.versions if v < key.min_available]:
            del key.versions[old]

    def destroy(self, name: str) -> None:
        """Destroy the whole key."""
        if self._engine.state(name) is None:
            return
        version = self.rotate(name)
        self.raise_minimum(name, version)
        self.trim(name, version)
        self._engine.reached("delete")
        self._engine.remove(name)


class FakeKeyProber:
    """Looks at keys from outside."""

    def __init__(self, engine: FakeTransit) -> None:
        self._engine = engine

    def state(self, name: str) -> KeyState | None:
        """Return the key's state, or None."""
        return self._engine.state(name)

    def refused(self, name: str, ciphertext: str) -> Refusal:
        """Try the ciphertext."""
        try:
            self._engine.tenant_key(name).decrypt(ciphertext)
        except KeyMissingError:
            return Refusal(True, "key-missing")
        except KeyDestroyedError as error:
            return Refusal(True, "too-old" if str(error).startswith("version") else "not-authentic")
        return Refusal(False, "accepted")


class FakeSigner:
    """Signs with an ed25519 key in memory."""

    def __init__(self, engine: FakeTransit) -> None:
        self._engine = engine
        self._key = Ed25519PrivateKey.generate()

    @property
    def key_id(self) -> str:
        """Name the key by the digest of its public half."""
        der = self._key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return sha256(der).hexdigest()

    def sign(self, message: bytes) -> bytes:
        """Sign."""
        self._engine.reached("sign")
        return self._key.sign(message)

    def public_key(self) -> str:
        """Return the public key as PEM."""
        return self._key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


class MemoryTreeStore:
    """A tree store in memory; `on_commit` may raise before or after the change, to play a crash."""

    def __init__(self) -> None:
        self.current: Head | None = None
        self.kept: dict[bytes, bytes] = {}
        self.ever: dict[bytes, bytes] = {}
        self.heads: list[Head] = []
        self.on_commit: Callable[[str], None] = lambda moment: None
        self._lock = threading.Lock()

    def head(self) -> Head | None:
        """Return the current root."""
        return self.current

    def generation(self) -> int:
        """Return the current generation."""
        return self.current.record.generation if self.current else 0

    def nodes(self, digests: Collection[bytes]) -> Mapping[bytes, bytes]:
        """Return the nodes that are there."""
        return {digest: self.kept[digest] for digest in digests if digest in self.kept}

    def commit(self, change: TreeChange, alongside: Alongside[None] | None = None) -> None:
        """Change everything or nothing."""
        self.on_commit("before")
        with self._lock:
            if self.generation() != change.expected:
                raise GenerationConflictError(f"generation is {self.generation()}, not {change.expected}", after=0.0)
            if alongside is not None:
                alongside(None, change)
            for digest in change.dead:
                self.kept.pop(digest, None)
            self.kept.update(change.fresh)
            self.ever.update(change.fresh)
            self.current = Head(change.root, change.fresh[change.root.digest])
            self.heads.append(self.current)
        self.on_commit("after")
