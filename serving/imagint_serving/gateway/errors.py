"""Every refusal that a Gateway answers with.

    ApiError(status, code, message)      shown to the caller in the shape of the API that was called
    ├── InvalidRequestError(param)       400: the request itself is wrong
    ├── UnauthenticatedError             401: no key or token, or not one of ours
    ├── ForbiddenError                   403: known, but not allowed
    ├── NotFoundError                    404: no such thing, or none that this caller may know of
    └── UnavailableError(retry_after)    503: closed, because keys, storage or the model cannot be reached

Messages are shown to callers and may end up in their logs: they name fields and limits, and never repeat a value.
"""

from __future__ import annotations


class ApiError(Exception):
    """An answer other than success."""

    status = 500
    kind = "server_error"

    def __init__(
        self,
        code: str | None,
        message: str,
        *,
        status: int | None = None,
        param: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.param = param
        self.retry_after = retry_after
        if status is not None:
            self.status = status


class InvalidRequestError(ApiError):
    """The request is wrong and will stay wrong."""

    status = 400
    kind = "invalid_request_error"


class UnauthenticatedError(ApiError):
    """Nobody we know."""

    status = 401
    kind = "invalid_request_error"


class ForbiddenError(ApiError):
    """Somebody we know, who may not do this."""

    status = 403
    kind = "permission_error"


class NotFoundError(ApiError):
    """Nothing here, or nothing that this caller may know of."""

    status = 404
    kind = "invalid_request_error"


class RateLimitedError(ApiError):
    """The tenant has spent what it may for now."""

    status = 429
    kind = "rate_limit_error"


class UnavailableError(ApiError):
    """We cannot keep our promises now, so we do nothing."""

    status = 503
    kind = "server_error"
