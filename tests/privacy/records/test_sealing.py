"""Sealing: what is bound to one place opens in no other."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagint_privacy.errors import KeyDestroyedError, RecordTamperedError
from imagint_privacy.keys.paths import KeyPath
from imagint_privacy.records.sealing import Binding, Keeping, key_id, seal, unseal

KEY = bytes(range(32))
PATH = KeyPath("subj-aaaaaaaaaaaaaaaaaaaaaaaaaa", "images", "2026-11")
BINDING = Binding("acme", PATH, "image/png", "img-1", Keeping.OBJECT)


@given(st.binary(max_size=5000))
def test_what_is_sealed_opens(plain: bytes) -> None:
    assert unseal(KEY, BINDING, bytes(seal(KEY, BINDING, plain, os.urandom))) == plain


@pytest.mark.parametrize(
    "other",
    [
        replace(BINDING, tenant="other"),
        replace(BINDING, path=KeyPath("subj-baaaaaaaaaaaaaaaaaaaaaaaaa", "images", "2026-11")),
        replace(BINDING, path=KeyPath(PATH.subject, "prompts", "2026-11")),
        replace(BINDING, path=KeyPath(PATH.subject, "images", "2026-12")),
        replace(BINDING, kind="image/jpeg"),
        replace(BINDING, record_id="img-2"),
        replace(BINDING, keeping=Keeping.ROW),
    ],
    ids=["tenant", "subject", "category", "period", "kind", "record", "keeping"],
)
def test_it_does_not_open_with_another(other: Binding) -> None:
    sealed = bytes(seal(KEY, BINDING, b"image", os.urandom))
    with pytest.raises(RecordTamperedError):
        unseal(KEY, other, sealed)


def test_parts_that_run_together_are_bound_apart() -> None:
    assert replace(BINDING, kind="a", record_id="bc").data() != replace(BINDING, kind="ab", record_id="c").data()


def test_another_key_means_that_the_key_is_gone() -> None:
    with pytest.raises(KeyDestroyedError):
        unseal(bytes(32), BINDING, bytes(seal(KEY, BINDING, b"image", os.urandom)))
    assert key_id(KEY) != key_id(bytes(32))


@pytest.mark.parametrize("cut", [0, 1, 20, 36, 41])
def test_a_cut_seal_is_refused_by_name(cut: int) -> None:
    sealed = bytes(seal(KEY, BINDING, b"image", os.urandom))
    assert len(sealed) == 42
    with pytest.raises(RecordTamperedError):
        unseal(KEY, BINDING, sealed[:cut])


def test_the_same_content_is_never_sealed_alike() -> None:
    assert seal(KEY, BINDING, b"image", os.urandom) != seal(KEY, BINDING, b"image", os.urandom)
