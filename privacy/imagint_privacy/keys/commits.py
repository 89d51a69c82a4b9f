"""Changing a tree: the first root, insertions under the root key as it is, forgetting under a fresh one.

Every commit is one compare-and-swap on the generation; whoever comes second edits the newer tree. Not thread-safe;
`KeyTree` holds the lock.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import suppress
from functools import partial
from typing import Generic

from imagint_privacy.errors import (
    GenerationConflictError,
    KeyVersionBehindError,
    NodeGoneError,
    PermanentError,
    TreeContendedError,
)
from imagint_privacy.keys import branches, seals
from imagint_privacy.keys.branches import Branch
from imagint_privacy.keys.edits import Edit, Editor, Wish
from imagint_privacy.keys.groups import Group, RefusedAlongside
from imagint_privacy.keys.paths import Prefix
from imagint_privacy.keys.places import ROOT, associated_data
from imagint_privacy.keys.ports import Alongside, RootRecord, RootWrapper, TreeChange, Tx
from imagint_privacy.keys.views import ATTEMPTS, OpenRoot, View


class _RootKey:
    """A key for the next root: fresh and wrapped, or the one that is open."""

    def __init__(self, key: bytearray, wrapped: str, since: int | None = None) -> None:
        self.key = key
        self.wrapped = wrapped
        self.version = version_of(wrapped)
        self.since = since


class _RotatedError(Exception):
    """Vault has a newer version of the key than the root's; never leaves this module."""


class Committer(Generic[Tx]):
    """Commits changes to one tree."""

    def __init__(self, view: View[Tx], wrapper: RootWrapper) -> None:
        self._view = view
        self._wrapper = wrapper

    def create(self) -> None:
        """Commit the first, empty root; another process may be first."""
        fresh = self._fresh_key()
        root, _ = self._sealed_root(Branch(), fresh.key, 1)
        digest = seals.digest_of(root)
        record = RootRecord(1, fresh.version, fresh.wrapped, digest, 1)
        try:
            self._view.store.commit(TreeChange(0, record, {digest: root}, ()))
        except GenerationConflictError:
            return

    def insert(self, group: Group[Tx]) -> None:
        """Make the keys of a group that are missing, in one commit.

        Raises:
            TreeContendedError: another process was first every time.
            PermanentError: a member cannot be served.
            KeysUnavailableError, StorageUnavailableError, NodeTamperedError: nothing was kept.
        """
        while group.members:
            attempt = partial(self._insert, Wish.inserting(group.paths()), group.alongside)
            try:
                keys = self._attempt(attempt).keys
            except RefusedAlongside:
                continue
            self._view.keep(keys)
            group.end(keys)
            return

    def forget(self, prefixes: Collection[Prefix], key_version: int, alongside: Alongside[Tx] | None) -> Edit:
        """Forget under a fresh root key, wrapped under `key_version` or newer.

        What it forgets falls out of memory: the old root and its key, every node that held a forgotten key, and the
        forgotten keys. The rest of the cache is part of the new tree as well, and stays.

        Raises:
            KeyVersionBehindError: the newest version of the tenant's key is older.
            TreeContendedError: another process was first every time.
            KeysUnavailableError, StorageUnavailableError, NodeTamperedError: nothing was forgotten.
        """
        return self._attempt(partial(self._rekey, Wish.forgetting(prefixes), alongside, key_version))

    def _attempt(self, attempt: Callable[[], Edit]) -> Edit:
        """Try a commit until no other process was first.

        Raises:
            TreeContendedError: another process was first every time.
        """
        for number in range(ATTEMPTS):
            try:
                return attempt()
            except (GenerationConflictError, NodeGoneError) as error:
                self._view.follow(number, error)
            except (PermanentError, RefusedAlongside):
                raise
            except BaseException:
                # The commit may or may not have happened: forget what is open and read it anew next time.
                self._view.drop()
                raise
            finally:
                self._view.nodes.trim()
        raise TreeContendedError("other writers changed the tree first, every time")

    def _insert(self, wish: Wish, alongside: Alongside[Tx]) -> Edit:
        """Insert under the root key as it is: nothing secret leaves, so Vault is asked only when the key is worn.

        A worn key is not replaced while Vault has a newer version than the root's: a forgetting may be about to move
        the root there, and a root in between, under the version that is kept, would still lead to what it forgets. It
        waits until the key has been used twice as often.
        """
        base = self._view.confirmed()
        uses, worn = base.record.generation + 1 - base.record.key_since, self._view.options.root_uses
        if uses >= worn:
            with suppress(_RotatedError):
                return self._rekey(wish, alongside, same_version=uses < 2 * worn)
        root, edit = self._edited(base, wish)
        if edit.inserted:
            present = _RootKey(base.key, base.record.wrapped, base.record.key_since)
            opened = self._commit(base, root, edit, present, alongside)
            self._view.adopt(opened, edit)
        return edit

    def _rekey(
        self, wish: Wish, alongside: Alongside[Tx] | None, key_version: int = 0, *, same_version: bool = False
    ) -> Edit:
        """Change the tree under a fresh root key.

        The key is wrapped after the base was read, for each attempt anew: so its version is never older than the
        base's, which may be all that Vault keeps by now.
        """
        base = self._view.confirmed()
        fresh = self._fresh_key()
        try:
            if fresh.version < key_version:
                raise KeyVersionBehindError(f"the key is at version {fresh.version}, not yet at {key_version}")
            if same_version and fresh.version != base.record.key_version:
                raise _RotatedError
            root, edit = self._edited(base, wish)
            opened = self._commit(base, root, edit, fresh, alongside)
        finally:
            seals.wipe(fresh.key)
        base.wipe()
        self._view.adopt(opened, edit)
        return edit

    def _edited(self, base: OpenRoot, wish: Wish) -> tuple[Branch, Edit]:
        root, options = branches.decode(base.root), self._view.options
        editor = Editor(self._view.tenant, self._view.source, options.entropy, leaf_limit=options.leaf_limit)
        return root, editor.apply(root, wish)

    def _commit(
        self, base: OpenRoot, root: Branch, edit: Edit, key: _RootKey, alongside: Alongside[Tx] | None
    ) -> OpenRoot:
        """Seal the new root, commit the change and return the root as it stands open then."""
        generation = base.record.generation + 1
        sealed, plain = self._sealed_root(root, key.key, generation)
        digest = seals.digest_of(sealed)
        since = generation if key.since is None else key.since
        record = RootRecord(generation, key.version, key.wrapped, digest, since)
        dead = (*edit.dead, base.record.digest)
        change = TreeChange(base.record.generation, record, {**edit.fresh, digest: sealed}, dead, len(edit.gone))
        self._view.store.commit(change, alongside)
        held = key.key if key.since is not None else bytearray(key.key)
        return OpenRoot(record, held, plain, base.until)

    def _sealed_root(self, root: Branch, key: bytearray, generation: int) -> tuple[bytes, bytearray]:
        plain = bytearray(root.encode())
        nonce = self._view.options.entropy(seals.NONCE_BYTES)
        return seals.seal(key, nonce, plain, associated_data(self._view.tenant, ROOT, generation)), plain

    def _fresh_key(self) -> _RootKey:
        """Make a root key and have Vault wrap it under the newest version."""
        key = bytearray(self._view.options.entropy(seals.KEY_BYTES))
        return _RootKey(key, self._wrapper.encrypt(seals.root_envelope(self._view.tenant, bytes(key))))


def version_of(wrapped: str) -> int:
    """Return the key version that made a ciphertext of Vault's (vault:v3:...).

    Raises:
        ValueError: it is no such ciphertext.
    """
    scheme, version, _ = wrapped.split(":", 2)
    if scheme != "vault" or not version.startswith("v"):
        raise ValueError("not a ciphertext of Vault's transit engine")
    return int(version[1:])
