"""Reading a request's body within bounds of size and time."""

from __future__ import annotations

import asyncio

from starlette.requests import ClientDisconnect, Request

from imagint_serving.gateway.errors import InvalidRequestError

# 32,000 characters twice, each written as a six-byte escape, and room for the rest.
MAX_BODY_BYTES = 512 * 1024
BODY_TIMEOUT_SECONDS = 30.0


async def read_body(request: Request) -> bytes:
    """Return the whole body.

    Raises:
        InvalidRequestError: 413 when it is too long, 408 when it does not arrive in time, 400 when it breaks off.
    """
    declared = request.headers.get("content-length", "0")
    if not declared.isdecimal() or int(declared[:20]) > MAX_BODY_BYTES:
        raise _too_long()
    try:
        async with asyncio.timeout(BODY_TIMEOUT_SECONDS):
            return await _collect(request)
    except TimeoutError:
        raise InvalidRequestError("body_timeout", "The body did not arrive in time.", status=408) from None
    except ClientDisconnect:
        raise InvalidRequestError("body_incomplete", "The body broke off.") from None


async def _collect(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise _too_long()
    return bytes(body)


def _too_long() -> InvalidRequestError:
    return InvalidRequestError("body_too_large", f"The body exceeds {MAX_BODY_BYTES} bytes.", status=413)
