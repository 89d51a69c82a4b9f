"""Pure: the next move with a tenant's key while it is rotated and, later, trimmed; for erasures and for retention.

Rule 1: the versions are recorded before the first rotation, so a crash never rotates twice.
Rule 2: a version above `from` was made by an earlier attempt (or by hand): it is used.
Rule 3: a key that is older than what is recorded came out of a snapshot: it is neither rotated nor trimmed.
"""

from __future__ import annotations

from enum import StrEnum

from imagint_operator.api.requests import KeyVersions
from imagint_privacy.keys.ports import KeyState

KEY_BEHIND = "KeyBehind"
BEHIND_MESSAGE = "Vault's key is older than recorded: it was restored from a snapshot"
KEY_MISSING = "KeyMissing"
MISSING_MESSAGE = "Vault has no key for this tenant: nothing can be destroyed in an orderly way"


class KeyMove(StrEnum):
    """One move with the key, or the record of one."""

    RECORD_VERSIONS = "RecordVersions"
    ROTATE = "Rotate"
    CONFIRM_ROTATION = "ConfirmRotation"
    RAISE_MINIMUM = "RaiseMinimum"
    TRIM = "Trim"
    CONFIRM_TRIM = "ConfirmTrim"


def rotation(key: KeyState, versions: KeyVersions | None, destroyed_below: int) -> KeyMove | None:
    """The next move of a rotation; None when the key is behind."""
    if key.latest_version < max(destroyed_below, versions.from_ if versions else 0):
        return None
    if versions is None:
        return KeyMove.RECORD_VERSIONS
    return KeyMove.ROTATE if key.latest_version == versions.from_ else KeyMove.CONFIRM_ROTATION


def trimming(key: KeyState, versions: KeyVersions) -> KeyMove | None:
    """The next move of a trim; None when the key is behind."""
    if key.latest_version < versions.to:
        return None
    if min(key.min_decryption_version, key.min_encryption_version) < versions.to:
        return KeyMove.RAISE_MINIMUM
    return KeyMove.TRIM if key.min_available_version < versions.to else KeyMove.CONFIRM_TRIM
