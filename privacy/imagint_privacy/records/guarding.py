"""Fail closed after a restore: refuse to open a tree when Vault, the database or a copy says that something is old.

Three cases. Vault's key is behind the tree: an old Vault snapshot. The tree is behind a copy: an old database. Vault
has a version again that was destroyed: a Vault snapshot from before the trim. For the last, each version seals a
witness, a few bytes that say nothing; once Vault refuses it, the version is known to be destroyed, and the newest such
witness is tried whenever the root is opened or confirmed: one call of Vault. It must not repair anything: destroying
again is the operator's.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

from sqlalchemy import ColumnElement, Row, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from imagint_privacy.errors import (
    KeyBehindError,
    KeyDestroyedError,
    KeyForbiddenError,
    KeyMissingError,
    KeyRevivedError,
    StaleTreeError,
)
from imagint_privacy.keys.commits import version_of
from imagint_privacy.keys.ports import KeyState, KeyWatcher, RootWrapper
from imagint_privacy.records.copying import newest_generation
from imagint_privacy.records.database import Database
from imagint_privacy.records.nodes import SqlTreeStore
from imagint_privacy.records.objects import Objects
from imagint_privacy.records.schema import KEY_WITNESSES

_AGAIN: Final = 5.0
_WITNESS: Final = b"imagint.ai/key/witness/1"


class GuardedKey:
    """The tenant's key, which opens a root only while Vault refuses what was destroyed; as `keys.ports.RootWrapper`."""

    def __init__(self, wrapper: RootWrapper, database: Database) -> None:
        self._wrapper = wrapper
        self._database = database
        self._required = 0

    def require(self, key_version: int) -> None:
        """Open no root wrapped under an older version from now on: somebody knows that those were destroyed."""
        self._required = max(self._required, key_version)

    def encrypt(self, plain: bytes) -> str:
        """Return the ciphertext under the newest version of the key."""
        return self._wrapper.encrypt(plain)

    def decrypt(self, ciphertext: str) -> bytes:
        """Return the plain bytes.

        Raises:
            KeyBehindError: Vault is older than the tree.
            KeyRevivedError: Vault opens what was destroyed.
            KeyDestroyedError: the version that made the ciphertext is gone: this is an old tree.
            KeysUnavailableError, KeyForbiddenError, KeyMissingError: as in `keys.ports.RootWrapper`.
        """
        if version_of(ciphertext) < self._required:
            raise KeyRevivedError(
                f"every version of the tenant's key below {self._required} was destroyed, and this tree is wrapped "
                f"under {version_of(ciphertext)}: vault, the database and its copies are old; restore the newest",
                after=_AGAIN,
            )
        try:
            plain = self._wrapper.decrypt(ciphertext)
        except KeyDestroyedError:
            raise explained(self._wrapper, version_of(ciphertext)) from None
        witness = self._newest(KEY_WITNESSES.c.armed)
        if witness is not None and not self._refused(witness.wrapped):
            raise KeyRevivedError(
                f"vault has version {witness.key_version} of the tenant's key again, which was destroyed: it was "
                "restored from an older snapshot; nothing is served until the operator has trimmed it again",
                after=_AGAIN,
            )
        return plain

    def arm(self, root_version: int) -> None:
        """Note which versions older than the root's Vault refuses: from now on it must go on so; and seal a witness.

        Raises:
            KeysUnavailableError: Vault does not answer.
            StorageUnavailableError: the database does not answer.
        """
        version = KEY_WITNESSES.c.key_version
        given_up = self._newest(~KEY_WITNESSES.c.armed & (version < root_version))
        if given_up is not None and self._refused(given_up.wrapped):
            with self._database.write() as connection:
                connection.execute(delete(KEY_WITNESSES).where(version < given_up.key_version))
                connection.execute(update(KEY_WITNESSES).where(version == given_up.key_version).values(armed=True))
        self._seal_witness(root_version)

    def _seal_witness(self, root_version: int) -> None:
        """Have a witness of the key's present version; one that this key did not seal is of before a move of keys."""
        here = KEY_WITNESSES.c.key_version >= root_version
        known = self._newest(here)
        if known is not None and not self._refused(known.wrapped):
            return
        wrapped = self._wrapper.encrypt(_WITNESS)
        row = {"key_version": version_of(wrapped), "wrapped": wrapped, "armed": False}
        with suppress(IntegrityError), self._database.write() as connection:  # another process may be first
            if known is not None:
                connection.execute(delete(KEY_WITNESSES).where(here))
            connection.execute(insert(KEY_WITNESSES).values(row))

    def _newest(self, among: ColumnElement[bool]) -> Row[Any] | None:
        query = select(KEY_WITNESSES).where(among).order_by(KEY_WITNESSES.c.key_version.desc()).limit(1)
        with self._database.read() as connection:
            return connection.execute(query).one_or_none()

    def _refused(self, wrapped: str) -> bool:
        try:
            self._wrapper.decrypt(wrapped)
        except (KeyDestroyedError, KeyMissingError):
            return True
        return False


def explained(wrapper: RootWrapper, version: int) -> KeyBehindError | KeyDestroyedError:
    """Say why Vault does not open a root that names a version: an old Vault, or an old tree."""
    state = _state(wrapper)
    if state is not None and state.latest_version < version:
        return KeyBehindError(
            f"vault is behind the tree: the root is wrapped under version {version} of key {state.name}, and vault's "
            f"newest is {state.latest_version}; restore a vault snapshot taken after the rotation to {version}, and do "
            "not rotate before",
            after=_AGAIN,
        )
    if state is not None and version < max(state.min_available_version, state.min_decryption_version):
        return KeyDestroyedError(
            f"the root is wrapped under version {version} of key {state.name}, which is destroyed: this tree is an old "
            "one; bring the newest back from a copy (imagint restore tree)"
        )
    return KeyDestroyedError(f"no version of the tenant's key opens the root, which names version {version}")


def _state(wrapper: RootWrapper) -> KeyState | None:
    if not isinstance(wrapper, KeyWatcher):
        return None
    try:
        return wrapper.state()
    except KeyForbiddenError:
        return None


def refuse_behind(store: SqlTreeStore, copies: Sequence[Objects]) -> None:
    """Serve no tree that a copy has overtaken, and begin none where there was one.

    Raises:
        StaleTreeError: the database is empty or old, and a copy of its tree is newer.
        StorageUnavailableError: the database or a copy does not answer.
    """
    # The copies first: a tree that another process makes meanwhile is in the database before it is in any copy.
    copied = max((newest_generation(copy) for copy in copies), default=0)
    held = store.generation() if copied else 0
    if held < copied:
        what = f"is at generation {held}, an old one" if held else "is empty"
        raise StaleTreeError(
            f"the database {what}, but a copy holds this tenant's tree of generation {copied}: restore the database "
            "as it was last, or bring the tree back from the copy (imagint restore tree)"
        )
