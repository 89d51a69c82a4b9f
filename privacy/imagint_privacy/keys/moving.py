"""Moving a tree to another Vault, or to another key of the same one, while it is served.

Every process of the tenant is given both keys; then one `KeyTree.rewrap` moves the root, and the old key can go.
Version numbers are the new key's from then on: no erasure may be between its rotation and its trim meanwhile.
"""

from __future__ import annotations

from imagint_privacy.errors import KeyDestroyedError, KeyMissingError
from imagint_privacy.keys.ports import RootWrapper


class MovingKey:
    """A `RootWrapper` that wraps under the new key, and unwraps under whichever made the ciphertext."""

    def __init__(self, new: RootWrapper, old: RootWrapper) -> None:
        self._new = new
        self._old = old

    def encrypt(self, plain: bytes) -> str:
        """Return the ciphertext under the newest version of the new key; as `ports.RootWrapper`."""
        return self._new.encrypt(plain)

    def decrypt(self, ciphertext: str) -> bytes:
        """Return the plain bytes; as `ports.RootWrapper`.

        Raises:
            KeyDestroyedError: neither key opens it any more.
            KeysUnavailableError, KeyForbiddenError: one of them cannot be asked.
        """
        try:
            return self._new.decrypt(ciphertext)
        except (KeyDestroyedError, KeyMissingError):
            pass
        try:
            return self._old.decrypt(ciphertext)
        except KeyMissingError:
            raise KeyDestroyedError("the old key is gone, and the new one did not wrap this root") from None
