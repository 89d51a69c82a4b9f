"""Who is calling: checks a ServiceAccount's JWT offline, against the cluster's published keys (ADR 3).

The projector keeps `platform.json` ({"issuer", "jwks"}) fresh. This module reads it when it changed, and again
when a token names a key that it does not know. It decides nothing about rights: it answers with the subject
(`system:serviceaccount:<namespace>:<name>`), and callers compare that with whom they let in.

It must never accept a symmetric algorithm or `none`, and never put a token, or a part of one, into a message.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import jwt

from imagint_serving.errors import PermanentError, RetryableError

# Asymmetric only: with HS256 allowed, the published public key itself would be a signing secret.
ALGORITHMS: Final = ("RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "ES512", "EdDSA")
SUBJECT_PREFIX: Final = "system:serviceaccount:"
MAX_TOKEN: Final = 16 * 1024
MAX_PLATFORM_FILE: Final = 256 * 1024
LEEWAY_SECONDS: Final = 5
REQUIRED_CLAIMS: Final = ["aud", "exp", "iss", "sub"]


class TokenRefusedError(PermanentError):
    """The bearer token is absent, malformed, expired, foreign or meant for somebody else (answer 401)."""


class PlatformKeysUnavailableError(RetryableError):
    """The cluster's public keys have not been handed over yet, or cannot be read (answer 503)."""


@dataclass(frozen=True, slots=True)
class _Platform:
    stamp: tuple[int, int, int]
    issuer: str
    keys: dict[str, jwt.PyJWK]


_cache: dict[Path, _Platform] = {}


def verify_service_account_token(token: str, audience: str, platform_file: Path) -> str:
    """Answer the subject of a ServiceAccount token that was made for this audience.

    Raises:
        TokenRefusedError: not a token that this cluster issued for this audience and that is valid now.
        PlatformKeysUnavailableError: the cluster's keys are not there to check it against.
    """
    kid = _key_id(token)
    platform = _platform(platform_file)
    key = platform.keys.get(kid)
    if key is None:
        key = _platform(platform_file, fresh=True).keys.get(kid)
    if key is None:
        raise TokenRefusedError("the token is signed by a key that the cluster does not publish")
    claims = _claims(token, key, audience, platform.issuer)
    subject = claims["sub"]
    if not isinstance(subject, str) or not subject.startswith(SUBJECT_PREFIX):
        raise TokenRefusedError("the token's subject is not a ServiceAccount")
    return subject


def bearer(header: str | None) -> str:
    """Take the token out of an Authorization header.

    Raises:
        TokenRefusedError: there is no bearer token in it.
    """
    scheme, _, token = (header or "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise TokenRefusedError("a bearer token is required")
    return token.strip()


def _key_id(token: str) -> str:
    if not token or len(token) > MAX_TOKEN:
        raise TokenRefusedError("the token is empty or too long")
    try:
        header = jwt.get_unverified_header(token)
    except (jwt.PyJWTError, ValueError) as error:
        raise TokenRefusedError("the token is not a JWT") from error
    kid = header.get("kid")
    if not isinstance(kid, str) or header.get("alg") not in ALGORITHMS:
        raise TokenRefusedError("the token names no key, or an algorithm that is not accepted")
    return kid


def _claims(token: str, key: jwt.PyJWK, audience: str, issuer: str) -> dict[str, Any]:
    try:
        # A PyJWK as key binds the algorithm to the key's own type as well.
        return jwt.decode(
            token,
            key,
            algorithms=list(ALGORITHMS),
            audience=audience,
            issuer=issuer,
            leeway=LEEWAY_SECONDS,
            options={"require": REQUIRED_CLAIMS},
        )
    except jwt.ExpiredSignatureError as error:
        raise TokenRefusedError("the token has expired") from error
    except jwt.InvalidAudienceError as error:
        raise TokenRefusedError("the token is meant for another audience") from error
    except jwt.InvalidIssuerError as error:
        raise TokenRefusedError("the token comes from another issuer") from error
    except (jwt.PyJWTError, ValueError, TypeError) as error:
        raise TokenRefusedError("the token's signature or claims are not valid") from error


def _platform(path: Path, *, fresh: bool = False) -> _Platform:
    try:
        stat = path.stat()
        stamp = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
        cached = _cache.get(path)
        if cached is not None and cached.stamp == stamp and not fresh:
            return cached
        if stat.st_size > MAX_PLATFORM_FILE:
            raise PlatformKeysUnavailableError("the file of the cluster's keys is too large")
        platform = _parsed(stamp, path.read_bytes())
    except OSError as error:
        raise PlatformKeysUnavailableError("the cluster's keys have not been handed over yet") from error
    _cache[path] = platform
    return platform


def _parsed(stamp: tuple[int, int, int], content: bytes) -> _Platform:
    try:
        document = json.loads(content)
        issuer, keys = document["issuer"], document["jwks"]["keys"]
        usable = {str(key["kid"]): jwt.PyJWK(key) for key in keys if key.get("kty") in ("RSA", "EC", "OKP")}
    except (ValueError, KeyError, TypeError, AttributeError, jwt.PyJWTError) as error:
        raise PlatformKeysUnavailableError("the file of the cluster's keys is malformed") from error
    if not isinstance(issuer, str) or not usable:
        raise PlatformKeysUnavailableError("the file of the cluster's keys names no issuer or no key")
    return _Platform(stamp, issuer, usable)
