"""Images cross Ray sealed to the one call that asked for them."""

from __future__ import annotations

import pickle
from dataclasses import replace

import pytest

from imagint_serving.errors import (
    ModelUnavailableError,
    OutOfMemoryError,
    RequestRefusedError,
    TransportError,
)
from imagint_serving.transport import GenerationCall, ImageRecipient, SealedImage, seal_image

IMAGE = b"\x89PNG the picture"


def call_for(recipient: ImageRecipient, **changes: object) -> GenerationCall:
    call = GenerationCall("gen_1", "a secret wish", "a fear", 32, 48, None, None, (7, 8), recipient.public_key())
    return replace(call, **changes)  # type: ignore[arg-type]


def test_the_recipient_opens_what_was_sealed_for_its_call() -> None:
    recipient = ImageRecipient()
    sealed = seal_image(IMAGE, call_for(recipient), 1)
    assert recipient.open(sealed, request_id="gen_1", index=1) == IMAGE
    assert (sealed.seed, sealed.width, sealed.height, sealed.content_type) == (8, 32, 48, "image/png")


@pytest.mark.parametrize(
    ("request_id", "index", "change"),
    [
        pytest.param("gen_2", 1, {}, id="an answer to another request does not open"),
        pytest.param("gen_1", 0, {}, id="an image at another position does not open"),
        pytest.param("gen_1", 1, {"seed": 7}, id="an image with another seed does not open"),
        pytest.param("gen_1", 1, {"width": 48}, id="an image with another width does not open"),
        pytest.param("gen_1", 1, {"content_type": "text/html"}, id="an image of another type does not open"),
        pytest.param("gen_1", 1, {"sealed": b""}, id="nothing does not open"),
        pytest.param("gen_1", 1, {"sealed": bytes(64)}, id="noise does not open"),
    ],
)
def test_whatever_differs_from_what_was_sealed(request_id: str, index: int, change: dict[str, object]) -> None:
    recipient = ImageRecipient()
    sealed = replace(seal_image(IMAGE, call_for(recipient), 1), **change)  # type: ignore[arg-type]
    with pytest.raises(TransportError):
        recipient.open(sealed, request_id=request_id, index=index)


def test_another_recipient_opens_nothing() -> None:
    sealed = seal_image(IMAGE, call_for(ImageRecipient()), 0)
    with pytest.raises(TransportError):
        ImageRecipient().open(sealed, request_id="gen_1", index=0)


@pytest.mark.parametrize(
    "key",
    [
        pytest.param(b"short", id="a key of the wrong length is refused"),
        pytest.param(bytes(32), id="a key of low order is refused"),
    ],
)
def test_a_useless_recipient_key(key: bytes) -> None:
    with pytest.raises(TransportError):
        seal_image(IMAGE, call_for(ImageRecipient(), recipient_public_key=key), 0)


def test_neither_prompt_nor_image_shows_in_a_repr_or_in_the_clear_when_pickled() -> None:
    recipient = ImageRecipient()
    call = call_for(recipient)
    sealed = seal_image(IMAGE, call, 0)
    assert "wish" not in repr(call)
    assert "fear" not in repr(call)
    assert IMAGE not in pickle.dumps(sealed)
    assert isinstance(pickle.loads(pickle.dumps(sealed)), SealedImage)  # noqa: S301 - our own bytes


@pytest.mark.parametrize(
    "error",
    [
        RequestRefusedError("too wide", "size"),
        OutOfMemoryError("no room", 3.0),
        ModelUnavailableError("gone"),
    ],
    ids=["a refusal", "a lack of memory", "an absence"],
)
def test_errors_survive_the_way_between_processes(error: Exception) -> None:
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    assert (type(copy), vars(copy), str(copy)) == (type(error), vars(error), str(error))
