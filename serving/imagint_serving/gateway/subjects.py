"""Whose data a request makes: the person the caller names, else the caller's own key.

The identifier itself is used to compute a handle and then forgotten: nothing here may store or show it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from imagint_privacy.errors import PathInvalidError
from imagint_privacy.subjects import is_handle
from imagint_serving.gateway.errors import InvalidRequestError

if TYPE_CHECKING:
    from imagint_privacy.records.library import Library


MAX_IDENTIFIER = 256


def checked_identifier(identifier: object, param: str = "identifier") -> str:
    """Return the identifier if it is text that can be one.

    Raises:
        InvalidRequestError: it is empty, too long, or no text at all.
    """
    usable = isinstance(identifier, str) and identifier.strip() and len(identifier) <= MAX_IDENTIFIER
    if not isinstance(identifier, str) or not usable or any("\ud800" <= c <= "\udfff" for c in identifier):
        message = f"{param} must be text of 1 to {MAX_IDENTIFIER} characters."
        raise InvalidRequestError("invalid_value", message, param=param)
    return identifier


def identifier_of(*, safety_identifier: str | None, user: str | None, key_name: str) -> str:
    """Choose the identifier: `safety_identifier`, else `user`, else the API key's own subject."""
    for candidate in (safety_identifier, user):
        if candidate is not None and candidate.strip():
            return candidate
    return f"key:{key_name}"


def handle_of(library: Library, *, identifier: str | None, handle: str | None) -> str:
    """Return the handle that a query names, directly or by the identifier behind it.

    Raises:
        InvalidRequestError: it names none, or both, or something that is no handle.
    """
    if (identifier is None) == (handle is None):
        raise InvalidRequestError("missing_required_parameter", "Send either user or subject.", param="user")
    if handle is not None:
        if not is_handle(handle):
            raise InvalidRequestError("invalid_value", "subject is not a handle.", param="subject")
        return handle
    return handle_for(library, checked_identifier(identifier, "user"))


def handle_for(library: Library, identifier: str) -> str:
    """Return the handle of a person.

    Raises:
        InvalidRequestError: nothing of the identifier is left once it is normalised.
        PrivacyError: keys or storage cannot be reached.
    """
    try:
        return library.handle(identifier)
    except PathInvalidError:
        raise InvalidRequestError("invalid_value", "The person's identifier is empty.", param="user") from None
