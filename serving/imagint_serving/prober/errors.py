"""Why the prober cannot answer; what it saw is never an error.

    ServingError
    ├── RetryableError(after)
    │   ├── GatewayUnavailableError      the Gateway does not answer as agreed (503)
    │   └── ProbeStoreError              the result cannot be kept safely, so it is not given (503)
    └── PermanentError
        ├── ProberSettingsError          the process cannot start
        ├── InvalidProbeError            the question is malformed (400, or 413)
        ├── CallerForbiddenError         a genuine token of somebody else (403)
        ├── ProbeConflictError           the same request was asked about something else (409)
        └── BeforeMissingError           nothing was seen before, so "after" would prove nothing (409)

Messages hold ids and names only: no handle, no canary, nothing that a Gateway or a caller sent.
"""

from __future__ import annotations

from imagint_serving.errors import PermanentError, RetryableError


class GatewayUnavailableError(RetryableError):
    """The Gateway is down, refuses the prober, or answers something that was not agreed."""


class ProbeStoreError(RetryableError):
    """The folder of the prober cannot be read or written."""


class ProberSettingsError(PermanentError):
    """A setting is missing or malformed."""


class InvalidProbeError(PermanentError):
    """The question is malformed."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message, status)
        self.message = message
        self.status = status

    def __str__(self) -> str:
        return self.message


class CallerForbiddenError(PermanentError):
    """Only the operator may ask."""


class ProbeConflictError(PermanentError):
    """The request is known with another tenant, subject or key version."""


class BeforeMissingError(PermanentError):
    """There is no passed observation from before."""
