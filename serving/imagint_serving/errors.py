"""Every error of the data plane, and what a caller may do about it.

    ServingError
    ├── RetryableError(after)            come back after that many seconds
    │   ├── NotReadyError                this replica has no keys or no storage yet
    │   ├── ModelUnavailableError        no Generator answers for this model now
    │   └── OutOfMemoryError             this batch did not fit; a smaller one may
    └── PermanentError                   the same request will fail again
        ├── RequestRefusedError(param)   the Generator cannot make an image of this shape
        ├── TransportError               a sealed image does not open: altered, or meant for another call
        └── ModelLoadError               the model's files are missing or cannot be used

Messages hold ids and figures only: never a prompt, an identifier or a key.
"""

from __future__ import annotations


class ServingError(Exception):
    """Root of everything the data plane raises by itself."""


class RetryableError(ServingError):
    """The same request may succeed later."""

    def __init__(self, message: str, after: float = 1.0) -> None:
        # Both arguments reach `args`, so that the error survives the pickling between Ray's processes.
        super().__init__(message, after)
        self.message = message
        self.after = after

    def __str__(self) -> str:
        return self.message


class NotReadyError(RetryableError):
    """The Gateway has no Vault token, no key tree or no storage yet."""


class ModelUnavailableError(RetryableError):
    """No Generator of this model answers now."""


class OutOfMemoryError(RetryableError):
    """The device had not enough memory for the batch."""


class PermanentError(ServingError):
    """The same request will fail again."""


class RequestRefusedError(PermanentError):
    """The Generator cannot make what the call asks for; `param` names the offending field."""

    def __init__(self, message: str, param: str | None = None) -> None:
        super().__init__(message, param)
        self.message = message
        self.param = param

    def __str__(self) -> str:
        return self.message


class TransportError(PermanentError):
    """A sealed image does not open."""


class ModelLoadError(PermanentError):
    """A model cannot be loaded from where its source points."""
