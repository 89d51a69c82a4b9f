"""Who calls: a tenant's application by API key, or the platform's operator and prober by ServiceAccount token.

It must not log or repeat what a caller presented, and decides only who somebody is, never what they may see.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from enum import Enum
from pathlib import Path

from imagint_serving.gateway.errors import ForbiddenError, UnauthenticatedError
from imagint_serving.gateway.files import HandedFile
from imagint_serving.tokens import TokenRefusedError, bearer, verify_service_account_token

AUDIENCE = "imagint-dataplane"
MAX_API_KEY = 1024
_DIGEST = re.compile(r"[0-9a-f]{64}")


class Role(Enum):
    """Who may call the privacy API."""

    OPERATOR = "system:serviceaccount:imagint-system:imagint-controller"
    PROBER = "system:serviceaccount:imagint-system:imagint-prober"


class ApiKeys:
    """The tenant's API keys, known only by their digests; several are valid at once, for rotation."""

    def __init__(self, path: Path) -> None:
        self._file = HandedFile(path, _parse_digests)

    def names(self) -> list[str]:
        """Return the names of the keys in force.

        Raises:
            NotReadyError: nothing usable has been handed over yet.
        """
        return sorted(self._file.read())

    def identify(self, authorization: str | None) -> str:
        """Return the name of the key that was presented.

        Raises:
            UnauthenticatedError: none was, or it is not one of this tenant's.
            NotReadyError: the keys have not been handed over yet.
        """
        presented = hashlib.sha256(_presented(authorization)).hexdigest()
        found: str | None = None
        # Every key is compared, and each in constant time: how long it takes tells nothing.
        for name, digest in self._file.read().items():
            if hmac.compare_digest(digest, presented):
                found = name
        if found is None:
            raise UnauthenticatedError("invalid_api_key", "Incorrect API key provided.")
        return found


class PlatformCallers:
    """ServiceAccount tokens of the platform, verified offline."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def identify(self, authorization: str | None) -> Role:
        """Return the role of the caller.

        Raises:
            UnauthenticatedError: the token is missing, expired, for another audience or not signed by our issuer.
            ForbiddenError: a genuine token of somebody else.
            PlatformKeysUnavailableError: the issuer's keys have not been handed over yet.
        """
        try:
            subject = verify_service_account_token(bearer(authorization), AUDIENCE, self._path)
        except TokenRefusedError as error:
            raise UnauthenticatedError("invalid_token", str(error)) from None
        try:
            return Role(subject)
        except ValueError:
            raise ForbiddenError("forbidden", "this identity has no part in the privacy API") from None


def _presented(authorization: str | None) -> bytes:
    try:
        credential = bearer(authorization)
    except TokenRefusedError:
        message = "Send your API key as 'Authorization: Bearer ...'."
        raise UnauthenticatedError("invalid_api_key", message) from None
    if len(credential) > MAX_API_KEY:
        raise UnauthenticatedError("invalid_api_key", "Incorrect API key provided.")
    return credential.encode("utf-8", "surrogateescape")


def _parse_digests(content: bytes) -> dict[str, str]:
    digests = json.loads(content)
    if not all(isinstance(d, str) and _DIGEST.fullmatch(d) for d in digests.values()):
        raise ValueError("not a table of SHA-256 digests")
    return dict(digests)
