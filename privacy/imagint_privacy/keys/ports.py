"""What the key tree and the operator need from Vault and from a store: the ports, without any adapter.

Pure declarations. `imagint_privacy.vault` and `imagint_privacy.records.nodes` hold the real adapters,
`imagint_privacy.keys.fakes` true in-memory ones; one contract suite runs on both.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeVar, runtime_checkable


@dataclass(frozen=True, slots=True)
class KeyState:
    """What Vault says about a transit key; no secret."""

    name: str
    latest_version: int
    min_decryption_version: int
    min_encryption_version: int
    min_available_version: int
    exportable: bool
    allow_plaintext_backup: bool
    deletion_allowed: bool
    created_at: Mapping[int, str] = field(default_factory=dict)

    @property
    def never_exportable(self) -> bool:
        """Neither flag was ever set: Vault lets nobody unset them."""
        return not self.exportable and not self.allow_plaintext_backup


@dataclass(frozen=True, slots=True)
class Refusal:
    """Whether Vault refuses a ciphertext for good, and why: too-old, key-missing, not-authentic or accepted."""

    refused: bool
    reason: str


class RootWrapper(Protocol):
    """Wraps and unwraps the root key under the tenant's transit key."""

    def encrypt(self, plain: bytes) -> str:
        """Return the ciphertext under the newest version of the key.

        Raises:
            KeysUnavailableError: Vault does not answer.
            KeyForbiddenError: this identity may not.
            KeyMissingError: there is no such key.
        """
        ...

    def decrypt(self, ciphertext: str) -> bytes:
        """Return the plain bytes.

        Raises:
            KeysUnavailableError: Vault does not answer.
            KeyForbiddenError: this identity may not.
            KeyMissingError: there is no such key.
            KeyDestroyedError: the version that made the ciphertext is gone or disallowed.
        """
        ...


@runtime_checkable
class KeyWatcher(Protocol):
    """Sees the state of one key; a `RootWrapper` may be one."""

    def state(self) -> KeyState | None:
        """Return the key's state, or None.

        Raises:
            KeysUnavailableError: Vault does not answer.
            KeyForbiddenError: this identity may not.
        """
        ...


class KeyAdmin(Protocol):
    """Creates and destroys tenant keys; can neither encrypt nor decrypt."""

    def ensure(self, name: str) -> KeyState:
        """Create the key unless it is there, never exportable, and return its state."""
        ...

    def state(self, name: str) -> KeyState | None:
        """Return the key's state, or None."""
        ...

    def upsert_disabled(self) -> bool:
        """Say whether encrypting under an unknown name is refused instead of creating the key."""
        ...

    def rotate(self, name: str) -> int:
        """Add a version and return it.

        Raises:
            KeyMissingError: there is no such key.
        """
        ...

    def raise_minimum(self, name: str, version: int) -> None:
        """Raise both minimums to a version; never lower them.

        Raises:
            KeyRefusedError: the key has no such version.
        """
        ...

    def trim(self, name: str, version: int) -> None:
        """Destroy every version below this one, for good.

        Raises:
            KeyRefusedError: the version is above the minimums.
        """
        ...

    def destroy(self, name: str) -> None:
        """Destroy the whole key: rotate, raise, trim, delete, so that a half-done delete leaves nothing old."""
        ...


class KeyProber(Protocol):
    """Looks at tenant keys from outside; can neither read, write nor destroy."""

    def state(self, name: str) -> KeyState | None:
        """Return the key's state, or None."""
        ...

    def refused(self, name: str, ciphertext: str) -> Refusal:
        """Ask Vault to rewrap a ciphertext, which never shows what is inside.

        Raises:
            KeysUnavailableError: Vault does not answer: that is no refusal.
            KeyForbiddenError: this identity may not ask: that is no refusal either.
        """
        ...


class Signer(Protocol):
    """Signs evidence with an ed25519 key that never leaves Vault."""

    @property
    def key_id(self) -> str:
        """Name the signing key: the SHA-256 of its public key in DER form, in hex."""
        ...

    def sign(self, message: bytes) -> bytes:
        """Return the 64-byte signature."""
        ...

    def public_key(self) -> str:
        """Return the public key as PEM."""
        ...


@dataclass(frozen=True, slots=True)
class RootRecord:
    """The public face of a root: which node it is, how its key is wrapped, and since which generation it is in use."""

    generation: int
    key_version: int
    wrapped: str
    digest: bytes
    key_since: int = 0


@dataclass(frozen=True, slots=True)
class Head:
    """The current root with its sealed node, read at one moment."""

    record: RootRecord
    sealed: bytes


@dataclass(frozen=True, slots=True)
class TreeChange:
    """One commit: the new root, the nodes to add and the nodes that fall away. `expected` 0 creates the tree."""

    expected: int
    root: RootRecord
    fresh: Mapping[bytes, bytes]
    dead: Collection[bytes]
    forgotten: int = 0


Tx = TypeVar("Tx")
Tx_co = TypeVar("Tx_co", covariant=True)
Alongside = Callable[[Tx, TreeChange], None]
"""Work of the caller's inside the transaction that commits a change; what it raises undoes the commit."""


class TreeStore(Protocol[Tx_co]):
    """Keeps one tenant's nodes and its root."""

    def head(self) -> Head | None:
        """Return the current root and its node at one moment, or None before the tree exists."""
        ...

    def generation(self) -> int:
        """Return the current generation, 0 before the tree exists."""
        ...

    def nodes(self, digests: Collection[bytes]) -> Mapping[bytes, bytes]:
        """Return the sealed nodes that are there, by digest."""
        ...

    def commit(self, change: TreeChange, alongside: Alongside[Tx_co] | None = None) -> None:
        """Make a change in one transaction, if the generation is still the expected one.

        Raises:
            GenerationConflictError: another writer was first; nothing was changed.
            StorageUnavailableError: the store does not answer; nothing was changed.
        """
        ...
