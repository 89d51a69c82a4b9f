"""Turning errors into answers: OpenAI's shape for tenants, the privacy API's shape for the platform.

The one place that knows both vocabularies. Text from outside our own errors never reaches an answer.
"""

from __future__ import annotations

import math
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse

from imagint_privacy import errors as privacy
from imagint_serving import errors as serving
from imagint_serving.gateway import errors as gateway
from imagint_serving.gateway.errors import ApiError

PRIVACY_PREFIX = "/privacy/"
_NOT_FOUND = ("not_found", "There is no such resource.")
_CLOSED = "The service cannot reach what it needs to keep your data safe, so it does nothing."
_BUSY = "An erasure for this person is under way."
_RESTRICTED = "This person's data is restricted: it is stored and not used."


def answer(error: ApiError, *, for_platform: bool) -> JSONResponse:
    """Return the answer that tells the caller about an error."""
    body: dict[str, Any] = {"code": error.code, "message": error.message}
    if not for_platform:
        body = {"message": error.message, "type": error.kind, "param": error.param, "code": error.code}
    return JSONResponse({"error": body}, status_code=error.status, headers=_headers(error))


def for_platform(request: Request) -> bool:
    """Say whether the request came to the privacy API."""
    path: str = request.scope["path"]
    return path.removeprefix(request.scope.get("root_path", "")).startswith(PRIVACY_PREFIX)


def translate(error: Exception) -> ApiError:
    """Return the refusal that an error of a lower layer amounts to."""
    if isinstance(error, ApiError):
        return error
    if isinstance(error, privacy.PrivacyError):
        return _privacy(error)
    if isinstance(error, serving.ServingError):
        return _serving(error)
    return ApiError("internal_error", "Something went wrong on our side.")


def _privacy(error: privacy.PrivacyError) -> ApiError:
    match error:
        case privacy.KeysUnavailableError():
            return gateway.UnavailableError("keys_unavailable", _CLOSED, retry_after=error.after)
        case privacy.StorageUnavailableError():
            return gateway.UnavailableError("storage_unavailable", _CLOSED, retry_after=error.after)
        case privacy.CopyFailedError():
            return gateway.UnavailableError("copy_failed", "A copy of the key tree failed.", retry_after=error.after)
        case privacy.RetryableError():
            return gateway.UnavailableError("unavailable", _CLOSED, retry_after=error.after)
        case privacy.KeyForbiddenError() | privacy.KeyMissingError():
            return gateway.UnavailableError("keys_unavailable", _CLOSED, retry_after=5)
        case privacy.SubjectFencedError() | privacy.LateWriteError():
            return gateway.InvalidRequestError("erasure_in_progress", _BUSY, status=409, retry_after=1)
        case privacy.SubjectRestrictedError():
            return gateway.ForbiddenError("processing_restricted", _RESTRICTED)
        case privacy.ObjectedError():
            return gateway.ForbiddenError("processing_objected", "The person objected to this use of their data.")
    return _privacy_permanent(error)


def _privacy_permanent(error: privacy.PrivacyError) -> ApiError:
    match error:
        case privacy.AccessDeniedError():
            return gateway.ForbiddenError("purpose_refused", "This use of the person's data is not allowed.")
        case privacy.KeyDestroyedError():
            return gateway.NotFoundError("key_destroyed", "The key no longer exists.", status=410)
        case privacy.RecordMissingError() | privacy.RequestMissingError():
            return gateway.NotFoundError(*_NOT_FOUND)
        case privacy.KeyVersionBehindError():
            message = "The tenant key has no such version yet."
            return gateway.InvalidRequestError("key_version_behind", message, status=409)
        case privacy.RequestConflictError():
            message = "This request conflicts with what was asked under the same id, or comes out of order."
            return gateway.InvalidRequestError(_conflict(error), message, status=409)
        case privacy.NotObjectableError():
            return gateway.InvalidRequestError("not_objectable", "Nobody can object to one of these purposes.")
        case privacy.RuleInvalidError():
            return gateway.InvalidRequestError("invalid_value", "A term is not between a day and a hundred years.")
        case privacy.PathInvalidError():
            return gateway.InvalidRequestError("invalid_value", "A name is not in its grammar.")
    return ApiError(type(error).__name__.removesuffix("Error").lower(), "The tenant's data needs attention.")


def _conflict(error: privacy.RequestConflictError) -> str:
    """Name what conflicts: erasure_conflict, restriction_conflict or retention_conflict."""
    return type(error).__name__.removesuffix("ConflictError").lower() + "_conflict"


def _serving(error: serving.ServingError) -> ApiError:
    match error:
        case serving.RequestRefusedError():
            return gateway.InvalidRequestError("invalid_value", error.message, param=error.param)
        case serving.OutOfMemoryError():
            message = "The model lacks memory for this request now."
            return gateway.UnavailableError("model_overloaded", message, retry_after=error.after)
        case serving.ModelUnavailableError():
            message = "The model does not answer now."
            return gateway.UnavailableError("model_unavailable", message, retry_after=error.after)
        case serving.RetryableError():
            return gateway.UnavailableError("not_ready", _CLOSED, retry_after=error.after)
    return ApiError("internal_error", "Something went wrong on our side.")


def _headers(error: ApiError) -> dict[str, str]:
    headers: dict[str, str] = {}
    if error.status == 401:
        headers["www-authenticate"] = "Bearer"
    if error.retry_after is not None:
        headers["retry-after"] = str(max(1, math.ceil(error.retry_after)))
        headers["retry-after-ms"] = str(math.ceil(error.retry_after * 1000))
    if error.code == "insufficient_quota":
        headers["x-should-retry"] = "false"
    return headers
