"""Canonical JSON, and a reader that refuses whatever two parsers could understand differently."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from imagint_privacy.evidence import documents
from imagint_privacy.evidence.errors import MalformedCertificateError

REFUSED = {
    "nothing at all": b"",
    "no JSON": b"certificate",
    "a list": b"[]",
    "a text": b'"x"',
    "two objects": b"{}{}",
    "a byte order mark": b"\xef\xbb\xbf{}",
    "not UTF-8": b'{"a":"\xff"}',
    "a duplicate key": b'{"a":1,"a":1}',
    "a duplicate key deep inside": b'{"a":[{"b":1,"b":2}]}',
    "a duplicate key in another spelling": b'{"a":1,"\\u0061":2}',
    "a float": b'{"a":1.0}',
    "an exponent": b'{"a":1e3}',
    "NaN": b'{"a":NaN}',
    "infinity": b'{"a":-Infinity}',
    "minus zero": b'{"a":-0}',
    "an integer beyond 2^53": b'{"a":9007199254740992}',
    "an integer of ten thousand digits": b'{"a":' + b"9" * 10_000 + b"}",
    "nesting beyond the limit": b'{"a":' * 30 + b"1" + b"}" * 30,
    "nesting beyond the interpreter's": b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "half a surrogate pair": b'{"a":"\\ud800"}',
    "half a surrogate pair as a key": b'{"\\udfff":1}',
    "more bytes than the limit": b'{"a":"' + b"x" * documents.MAX_BYTES + b'"}',
    "a control character in a text": b'{"a":"\x1b"}',
    "a trailing comma": b'{"a":1,}',
    "a comment": b'{"a":1}//',
}


@pytest.mark.parametrize("content", REFUSED.values(), ids=REFUSED.keys())
def test_refused(content: bytes) -> None:
    with pytest.raises(MalformedCertificateError):
        documents.parse(content)


TEXTS = st.text('aé€😀"\\/\n\x00', max_size=5)
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-documents.MAX_INTEGER, documents.MAX_INTEGER) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=20,
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(value=st.dictionaries(TEXTS, PLAIN, max_size=4))
def test_what_is_written_is_read_back_and_written_the_same(value: dict[str, object]) -> None:
    content = documents.canonical(value)
    assert documents.parse(content) == value
    assert documents.canonical(documents.parse(content)) == content


@settings(deadline=None)
@given(content=st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    try:
        documents.parse(content)
    except MalformedCertificateError:
        return


def test_keys_are_sorted_and_nothing_is_escaped_without_need() -> None:
    assert documents.canonical({"b": [1, True, None], "a": "é"}) == '{"a":"é","b":[1,true,null]}'.encode()
