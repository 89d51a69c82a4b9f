"""The alphabets that a certificate's fields are written in.

Everything a certificate says may be shown on a terminal, put into a page, or read by a program that trusts it.
So each field has the narrowest form that serves, and none can hold control characters or the line-turning kind.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Any, Final

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    StringConstraints,
    WithJsonSchema,
)
from pydantic.alias_generators import to_camel

from imagint_privacy.evidence.documents import MAX_INTEGER

TIME_PATTERN: Final = r"^2\d{3}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{6})?Z$"
TENANT_PATTERN: Final = r"^[a-z]([-a-z0-9]{0,38}[a-z0-9])?$"
SERVICE_ACCOUNT_PATTERN: Final = r"^system:serviceaccount:[a-z0-9][-a-z0-9.]{0,252}:[a-z0-9][-a-z0-9.]{0,252}$"
UUID_PATTERN: Final = r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"
HEX_256_PATTERN: Final = r"^[0-9a-f]{64}$"
_ANY_FRACTION: Final = re.compile(TIME_PATTERN.replace("6}", "1,9}").strip("^$"))
# What no certificate may say about anybody: a subject's handle, an e-mail address.
IDENTIFYING: Final = re.compile(r"subj-[a-z2-7]{26}|[^\s@\"]{1,64}@[^\s@\"]+\.[a-z]{2,}", re.IGNORECASE)


class Model(BaseModel):
    """A part of a certificate: immutable, closed, camelCase in JSON."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        serialize_by_alias=True,
        hide_input_in_errors=True,
    )


def format_time(moment: datetime) -> str:
    """Write a time as certificates do: RFC 3339 in UTC, with microseconds only where there are some."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _read_time(value: Any) -> datetime:
    # Vault writes nanoseconds. A certificate that holds them is refused all the same: it is not what we would write.
    if isinstance(value, str) and _ANY_FRACTION.fullmatch(value):
        return datetime.fromisoformat(value)
    if isinstance(value, datetime) and value.utcoffset() is not None:
        return value.astimezone(UTC)
    raise ValueError("a time must be in UTC, written like 2026-11-23T20:53:28Z")


def _printable(value: str) -> str:
    if not value.isprintable():
        raise ValueError("a text must hold printable characters only")
    return value


Time = Annotated[
    datetime,
    BeforeValidator(_read_time),
    PlainSerializer(format_time, return_type=str),
    WithJsonSchema({"type": "string", "format": "date-time", "pattern": TIME_PATTERN}),
]
Text = Annotated[str, StringConstraints(min_length=1, max_length=500), AfterValidator(_printable)]
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/#+-]{0,199}$")]
Slug = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9-]{0,62}$")]
Tenant = Annotated[str, StringConstraints(pattern=TENANT_PATTERN)]
KeyName = Annotated[str, StringConstraints(pattern=r"^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$")]
ServiceAccount = Annotated[str, StringConstraints(pattern=SERVICE_ACCOUNT_PATTERN)]
Uid = Annotated[str, StringConstraints(pattern=UUID_PATTERN)]
Hex256 = Annotated[str, StringConstraints(pattern=HEX_256_PATTERN)]
Digest = Annotated[str, StringConstraints(pattern=r"^sha256:[0-9a-f]{64}$")]
Count = Annotated[int, Field(ge=0, le=MAX_INTEGER)]
Version = Annotated[int, Field(ge=1, le=MAX_INTEGER)]
Counts = Annotated[dict[Slug, Count], Field(max_length=64)]
