"""What can go wrong with the embedded stack. Messages are for the person who ran the command; they hold no secret.

StackError
├── PermanentError              trying again does not help
│   ├── SettingsError           an option, kubeconfig or file that cannot be used
│   ├── AssetsMissingError      an incomplete installation
│   ├── BuildFailedError        a toolchain or a build that failed
│   ├── AlreadyRunningError     another process owns this state folder
│   ├── NotRunningError         there is no stack in this state folder
│   └── StartFailedError        parts that do not become ready
├── RetryableError              the other side is away; the supervisor tries again
└── RefusedError                an answer with a status that was not expected
"""

from __future__ import annotations


class StackError(Exception):
    """Any failure of the embedded stack."""


class PermanentError(StackError):
    """Trying the same again cannot help."""


class SettingsError(PermanentError):
    """An option, a kubeconfig or a file that cannot be used."""


class AssetsMissingError(PermanentError):
    """Files that belong to the installation are not there."""


class BuildFailedError(PermanentError):
    """The Go toolchain or a build failed."""


class AlreadyRunningError(PermanentError):
    """Another process owns this state folder."""


class NotRunningError(PermanentError):
    """No stack runs in this state folder."""


class StartFailedError(PermanentError):
    """Parts that did not become ready."""


class RetryableError(StackError):
    """The other side is away or not ready yet."""


class RefusedError(StackError):
    """A server answered with a status that was not expected."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status
