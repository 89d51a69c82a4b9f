"""JSON as evidence needs it: one canonical form to write, and a reader that takes nothing for granted.

Canonical form: UTF-8, no white space, keys sorted by code point, integers only (no floats: they have many
spellings), as RFC 8785 would write the same values. The reader refuses what lenient parsers differ on:
duplicate keys, NaN, floats, huge integers, lone surrogates, anything deep or long.

It must never quote what it refuses.
"""

from __future__ import annotations

import json
from typing import Any, Final, NoReturn

from imagint_privacy.evidence.errors import MalformedCertificateError

MAX_BYTES: Final = 256 * 1024
MAX_DEPTH: Final = 24
MAX_INTEGER: Final = 2**53 - 1  # the largest that every JSON reader keeps exact
MAX_DIGITS: Final = 16


def canonical(value: Any) -> bytes:
    """Write plain JSON values in their canonical form."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode()


def parse(content: bytes) -> dict[str, Any]:
    """Read one JSON object, strictly.

    Raises:
        MalformedCertificateError: not JSON, not one object, or beyond what a certificate may hold.
    """
    if len(content) > MAX_BYTES:
        raise MalformedCertificateError(f"the document is larger than {MAX_BYTES} bytes")
    try:
        value = json.loads(
            content.decode("utf-8"),
            object_pairs_hook=_object,
            parse_int=_integer,
            parse_float=_refuse_float,
            parse_constant=_refuse_float,
        )
    except RecursionError as error:
        raise MalformedCertificateError("the document is nested too deeply") from error
    except ValueError as error:
        raise MalformedCertificateError("the document is not JSON in UTF-8") from error
    if not isinstance(value, dict):
        raise MalformedCertificateError("the document is not one JSON object")
    _bound(value, MAX_DEPTH)
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise MalformedCertificateError("a key appears twice in the same object")
    return members


def _integer(text: str) -> int:
    if len(text) > MAX_DIGITS + 1 or abs(int(text)) > MAX_INTEGER or text == "-0":
        raise MalformedCertificateError("an integer is out of range")
    return int(text)


def _refuse_float(_text: str) -> NoReturn:
    raise MalformedCertificateError("a number is not an integer")


def _bound(value: Any, depth: int) -> None:
    if depth == 0:
        raise MalformedCertificateError("the document is nested too deeply")
    if isinstance(value, dict):
        for key, member in value.items():
            _bound(key, depth)
            _bound(member, depth - 1)
    elif isinstance(value, list):
        for member in value:
            _bound(member, depth - 1)
    elif isinstance(value, str) and any("\ud800" <= character <= "\udfff" for character in value):
        raise MalformedCertificateError("a text holds half a character")
