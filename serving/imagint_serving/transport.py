"""What crosses Ray between a Gateway and a Generator, and how an image is kept sealed on that way.

Ray moves large results through shared memory and spills them to disk in the clear. So the Gateway makes an
X25519 key pair for one call, hands its public half over, and the Generator seals every image to it (RFC 9180
HPKE: X25519, HKDF-SHA256, AES-256-GCM) before returning. The request id and the image's position are bound in:
a sealed image opens only as the answer it was made for.

The prompt travels inside the call itself. Calls are bounded (`MAX_TEXT_BYTES`) below the size at which Ray would
move an argument to shared memory. Nothing here may log, and no repr may show a prompt or an image.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from imagint_serving.errors import TransportError

MAX_TEXT_BYTES = 64 * 1024
"""Prompt and negative prompt together, in UTF-8: Ray inlines arguments below 100 KiB and never spills those."""

_SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
_DOMAIN = b"imagint/transport/v1"


@dataclass(frozen=True, slots=True)
class GenerationCall:
    """One request to a Generator; it answers with one image per seed, in the order of the seeds."""

    request_id: str
    prompt: str = field(repr=False)
    negative_prompt: str = field(repr=False)
    width: int
    height: int
    steps: int | None
    guidance: float | None
    seeds: tuple[int, ...]
    recipient_public_key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class SealedImage:
    """One image that only the Gateway which asked for it can open."""

    sealed: bytes = field(repr=False)
    seed: int
    width: int
    height: int
    content_type: str


class ImageRecipient:
    """The Gateway's end of one call: a key pair that lives no longer than the call."""

    __slots__ = ("_private",)

    def __init__(self) -> None:
        self._private = X25519PrivateKey.generate()

    def public_key(self) -> bytes:
        """Return the 32 raw bytes that go into `GenerationCall.recipient_public_key`."""
        return self._private.public_key().public_bytes_raw()

    def open(self, image: SealedImage, *, request_id: str, index: int) -> bytes:
        """Return the encoded image.

        Raises:
            TransportError: it was altered, or sealed for another call or position.
        """
        try:
            return _SUITE.decrypt(image.sealed, self._private, _context(request_id, index, image))
        except (InvalidTag, ValueError) as error:
            raise TransportError(f"image {index} of request {request_id} does not open") from error


def seal_image(image: bytes, call: GenerationCall, index: int, content_type: str = "image/png") -> SealedImage:
    """Seal one encoded image as the answer at `index` of `call` (the Generator's end).

    Raises:
        TransportError: the call's public key is not an X25519 key.
    """
    sealed = SealedImage(b"", call.seeds[index], call.width, call.height, content_type)
    try:
        recipient = X25519PublicKey.from_public_bytes(call.recipient_public_key)
        box = _SUITE.encrypt(image, recipient, _context(call.request_id, index, sealed))
    except ValueError as error:
        raise TransportError(f"request {call.request_id} names no usable recipient key") from error
    return SealedImage(box, sealed.seed, sealed.width, sealed.height, content_type)


def _context(request_id: str, index: int, image: SealedImage) -> bytes:
    """Everything the answer claims about itself, length-prefixed so that no two answers share a context."""
    facts = (index, image.seed, image.width, image.height)
    parts = [request_id.encode(), *(str(fact).encode() for fact in facts), image.content_type.encode()]
    return _DOMAIN + b"".join(len(part).to_bytes(4, "big") + part for part in parts)
