"""Every error of the projector.

    ProjectorError
    ├── ApiServerError(status)     the apiserver refused, or could not be reached (status 0)
    └── KubeconfigError            the projector's own credentials cannot be read

Messages carry the request's method, path and status: never a body, a token or a key.
"""

from __future__ import annotations


class ProjectorError(Exception):
    """Root of the projector's errors; every one of them is tried again."""


class ApiServerError(ProjectorError):
    """The apiserver answered with an error status, or not at all."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class KubeconfigError(ProjectorError):
    """The kubeconfig or one of the files that it names is missing or unusable."""
