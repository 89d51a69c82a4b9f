"""Every error of the privacy domain, and what a caller may do about it.

    PrivacyError
    ├── RetryableError(after)            come back after that many seconds
    │   ├── KeysUnavailableError         Vault is sealed, unreachable, too slow, or refuses the log-in
    │   ├── StorageUnavailableError      the database or the object store does not answer
    │   ├── StaleTreeError               the database answered with an older tree than one already seen
    │   ├── KeyBehindError               Vault was restored: its key is older than the tree
    │   ├── KeyRevivedError              Vault opens again what was destroyed: it was restored, and not trimmed since
    │   ├── GenerationConflictError      another writer changed the tree first (the tree itself tries again)
    │   ├── NodeGoneError                a node of an older root is no longer there (likewise)
    │   ├── TreeContendedError           lost the compare-and-swap on the tree too often
    │   └── CopyFailedError              a tree copy could not be written, or did not read back
    └── PermanentError                   the same call will fail again
        ├── KeyDestroyedError            forgotten or trimmed: nobody can open this any more
        ├── KeyForbiddenError            Vault's policy does not allow this to this identity
        ├── KeyMissingError              Vault holds no key of that name
        ├── KeyRefusedError              Vault refuses the call as it is: for instance, to trim above the minimums
        ├── KeyVersionBehindError        the newest version of the key is older than the one asked for
        ├── PathInvalidError             a subject, category, period or id outside its grammar
        ├── TamperedError                bytes that are not what was written
        │   ├── NodeTamperedError        a node of the key tree: truncated, swapped, older or altered
        │   ├── RecordTamperedError      a record, object or canary: truncated, swapped or altered
        │   └── ForeignTreeError         the tree, database or backup of another tenant
        ├── TreeLimitError               more than the format can hold
        ├── AccessDeniedError            the purpose gate said no
        │   ├── SubjectFencedError       an erasure of this subject is under way
        │   ├── SubjectRestrictedError   this subject's data may be stored and nothing else
        │   ├── ObjectedError            this subject objected to this purpose
        │   ├── LateWriteError           the write began before an erasure or a restriction that has begun since
        │   └── PurposeRefusedError      this purpose does not allow this use
        ├── NotObjectableError           nobody can object to this purpose: it is the service itself, or a right
        ├── RecordMissingError           no such record
        ├── RecordExistsError            the record id is taken
        ├── RecordSizeError              a record is longer than allowed, or another length than was said
        ├── RequestMissingError          no such request
        │   ├── ErasureMissingError      no such erasure
        │   ├── RestrictionMissingError  no such restriction or objection
        │   └── RetentionMissingError    no such retention run
        ├── RequestConflictError         the request is known with another scope, or a step came out of order
        │   ├── ErasureConflictError     of an erasure
        │   ├── RestrictionConflictError of a restriction or an objection
        │   └── RetentionConflictError   of a retention run
        ├── RuleInvalidError             a retention rule that cannot be carried out
        ├── BackupRefusedError           this folder or database cannot take or give a backup
        └── SchemaError                  the database was written by another version of this program

Messages hold ids, handles and figures only: never an identifier, a prompt, a key or a body of Vault's.
"""

from __future__ import annotations


class PrivacyError(Exception):
    """Root of everything this package raises by itself."""


class RetryableError(PrivacyError):
    """The same call may succeed later."""

    def __init__(self, message: str, after: float = 1.0) -> None:
        # Both arguments reach `args`, so that the error survives pickling between processes.
        super().__init__(message, after)
        self.message = message
        self.after = after

    def __str__(self) -> str:
        return self.message


class KeysUnavailableError(RetryableError):
    """Vault is sealed, unreachable, too slow, or refuses the log-in."""


class StorageUnavailableError(RetryableError):
    """The database or the object store does not answer."""


class StaleTreeError(RetryableError):
    """The database answered with an older tree than one this process has already seen."""


class KeyBehindError(RetryableError):
    """Vault's key is older than the tree: it was restored from before a rotation, and opens nothing."""


class KeyRevivedError(RetryableError):
    """Vault opens again what was destroyed: nothing is served until the old versions are destroyed once more."""


class GenerationConflictError(RetryableError):
    """Another writer changed the tree first."""


class NodeGoneError(RetryableError):
    """A node of an older root is no longer there."""


class TreeContendedError(RetryableError):
    """Other writers won the compare-and-swap on the tree every time."""


class CopyFailedError(RetryableError):
    """A copy of the tree could not be written, or did not read back as written."""


class PermanentError(PrivacyError):
    """The same call will fail again."""


class KeyDestroyedError(PermanentError):
    """The key that opens this has been destroyed, or never was."""


class KeyForbiddenError(PermanentError):
    """Vault's policy does not allow this to this identity."""


class KeyMissingError(PermanentError):
    """Vault holds no key of that name."""


class KeyRefusedError(PermanentError):
    """Vault refuses the call as it is."""


class KeyVersionBehindError(PermanentError):
    """The newest version of the tenant's key is older than the one asked for."""


class PathInvalidError(PermanentError):
    """A subject, category, period or id is outside its grammar."""


class TamperedError(PermanentError):
    """Bytes that are not what was written."""


class NodeTamperedError(TamperedError):
    """A node of the key tree is truncated, swapped, older or altered."""


class RecordTamperedError(TamperedError):
    """A record, object or canary is truncated, swapped or altered."""


class ForeignTreeError(TamperedError):
    """The tree, database or backup belongs to another tenant."""


class TreeLimitError(PermanentError):
    """More than the format of the tree can hold."""


class AccessDeniedError(PermanentError):
    """The purpose gate said no."""


class SubjectFencedError(AccessDeniedError):
    """An erasure of this subject is under way."""


class SubjectRestrictedError(AccessDeniedError):
    """The subject's data may be stored and nothing else."""


class ObjectedError(AccessDeniedError):
    """The subject objected to this purpose."""


class LateWriteError(AccessDeniedError):
    """The write began before an erasure or a restriction that has begun since."""


class PurposeRefusedError(AccessDeniedError):
    """This purpose does not allow this use."""


class NotObjectableError(PermanentError):
    """Nobody can object to this purpose."""


class RecordMissingError(PermanentError):
    """There is no such record."""


class RecordExistsError(PermanentError):
    """The record id is taken."""


class RecordSizeError(PermanentError):
    """A record is longer than allowed, or of another length than was said."""


class RequestMissingError(PermanentError):
    """There is no such request."""


class ErasureMissingError(RequestMissingError):
    """There is no such erasure."""


class RestrictionMissingError(RequestMissingError):
    """There is no such restriction or objection."""


class RetentionMissingError(RequestMissingError):
    """There is no such retention run."""


class RequestConflictError(PermanentError):
    """The request is known with another scope, or a step came out of order."""


class ErasureConflictError(RequestConflictError):
    """The erasure is known with another scope, or a step of it came out of order."""


class RestrictionConflictError(RequestConflictError):
    """The restriction or objection is known with another scope."""


class RetentionConflictError(RequestConflictError):
    """The retention run is known with other rules, or a step of it came out of order."""


class RuleInvalidError(PermanentError):
    """A retention rule cannot be carried out."""


class BackupRefusedError(PermanentError):
    """This folder or database cannot take or give a backup."""


class SchemaError(PermanentError):
    """The database was written by another version of this program."""
