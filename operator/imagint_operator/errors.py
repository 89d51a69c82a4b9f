"""Every error of the operator. Messages carry ids only: they end in conditions, events and logs.

OperatorError
├── SettingsError                 a setting is missing or wrong; the process ends
├── WatchDeadError                a watch is silent while the apiserver answers; the process ends
├── RetryableError(after)         the world may be better in a moment
│   ├── KubeUnavailableError      apiserver unreachable, slow, busy, or the token is being renewed
│   │   └── KubeMissingError      a kind is not served: its CRD is not installed
│   ├── KubeConflictError         somebody else changed or replaced the object
│   ├── UnreadableError           an object says what this version cannot parse: its CRD is another version's
│   ├── FencedError               another operator may hold the Lease: this one writes nothing
│   ├── VaultUnavailableError     Vault sealed or unreachable
│   ├── ServeUnavailableError     Ray's dashboard unreachable
│   │   └── RayServiceNotInstalledError  the apiserver knows no RayService, or none of our version
│   ├── DataPlaneUnavailableError a Gateway unreachable or not ready
│   └── ProberUnavailableError    the prober unreachable or not ready
└── PermanentError                trying again changes nothing until the object changes
    ├── KubeForbiddenError        the operator lacks a right
    ├── KubeInvalidError          the apiserver refuses what we wrote
    ├── ServeRefusedError         Serve refuses the configuration
    │   └── RayServiceRefusedError   the apiserver refuses the RayService, or it is too large
    ├── VaultRefusedError         Vault refuses the operator
    ├── DataPlaneRefusedError     a Gateway refuses the step (code)
    ├── ProberRefusedError        the prober refuses the probe (code)
    └── EvidenceRefusedError      the certificate would claim what was not shown
"""

from __future__ import annotations


class OperatorError(Exception):
    """Root of the operator's errors."""

    reason = "InternalError"


class SettingsError(OperatorError):
    """A setting is missing or wrong."""


class WatchDeadError(OperatorError):
    """A watch is silent while the apiserver answers."""


class RetryableError(OperatorError):
    """The world may be better in a moment: the caller backs off, at least `after` seconds."""

    def __init__(self, message: str, *, after: float = 0.0) -> None:
        super().__init__(message)
        self.after = after


class KubeUnavailableError(RetryableError):
    """The apiserver is unreachable, slow or busy."""

    reason = "ApiServerUnavailable"


class KubeMissingError(KubeUnavailableError):
    """A kind is not served: its CRD is not installed."""

    reason = "KindMissing"


class KubeConflictError(RetryableError):
    """Somebody else changed or replaced the object."""

    reason = "Conflict"


class UnreadableError(RetryableError):
    """An object says what this version cannot parse: its CRD is another version's."""

    reason = "Unreadable"


class FencedError(RetryableError):
    """Another operator may hold the Lease: this one writes nothing."""

    reason = "NotLeading"


class VaultUnavailableError(RetryableError):
    """Vault is sealed or unreachable."""

    reason = "VaultUnavailable"


class ServeUnavailableError(RetryableError):
    """Ray's dashboard is unreachable."""

    reason = "DataPlaneUnavailable"


class RayServiceNotInstalledError(ServeUnavailableError):
    """The apiserver knows no RayService, or none of the version that we write."""

    reason = "RayServiceNotInstalled"


class DataPlaneUnavailableError(RetryableError):
    """A Gateway is unreachable or not ready."""

    reason = "DataPlaneUnavailable"


class ProberUnavailableError(RetryableError):
    """The prober is unreachable or not ready."""

    reason = "ProberUnavailable"


class PermanentError(OperatorError):
    """Trying again changes nothing until the object changes."""


class KubeForbiddenError(PermanentError):
    """The operator lacks a right."""

    reason = "Forbidden"


class KubeInvalidError(PermanentError):
    """The apiserver refuses what we wrote."""

    reason = "Refused"


class ServeRefusedError(PermanentError):
    """Serve refuses the configuration."""

    reason = "ServeRefused"


class RayServiceRefusedError(ServeRefusedError):
    """The apiserver refuses the RayService, or it would be too large."""

    reason = "RayServiceRefused"


class VaultRefusedError(PermanentError):
    """Vault refuses the operator."""

    reason = "VaultRefused"


class DataPlaneRefusedError(PermanentError):
    """A Gateway refuses the step."""

    reason = "DataPlaneRefused"

    def __init__(self, message: str, *, code: str = "") -> None:
        super().__init__(message)
        self.code = code


class ProberRefusedError(PermanentError):
    """The prober refuses the probe."""

    reason = "ProberRefused"

    def __init__(self, message: str, *, code: str = "") -> None:
        super().__init__(message)
        self.code = code


class EvidenceRefusedError(PermanentError):
    """The certificate would claim what was not shown."""

    reason = "EvidenceRefused"
