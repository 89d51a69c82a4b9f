"""Pure: whether erasures can be passed on to a recipient, as far as that can be said without calling anybody."""

from __future__ import annotations

from datetime import datetime

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from imagint_operator.api.processors import DataProcessor, DataProcessorStatus, ErasureChannel, ErasureProtocol
from imagint_operator.conditions import Verdict, merged, no, yes

READY = "Ready"
_KEYS = {ErasureProtocol.OPEN_DSR: (RSAPublicKey, "an RSA"), ErasureProtocol.WEBHOOK: (Ed25519PublicKey, "an ed25519")}


def status(processor: DataProcessor, now: datetime) -> DataProcessorStatus:
    """The status to write."""
    generation = processor.metadata.generation
    conditions = merged(processor.status.conditions, (ready(processor.spec.erasure),), generation=generation, now=now)
    return DataProcessorStatus(observed_generation=generation, conditions=conditions)


def ready(channel: ErasureChannel) -> Verdict:
    """Whether an erasure can be passed on."""
    if channel.protocol is ErasureProtocol.NONE:
        return yes(READY, "NotTold", "erasures are not passed on, for the reason in erasure.reason")
    if channel.protocol is ErasureProtocol.MANUAL:
        return yes(READY, "ByHand", "a person passes erasures on; certificates name it as not confirmed")
    kind, called = _KEYS[channel.protocol]
    if channel.public_key is None:
        message = "erasures are passed on; its receipts are not signed, so TLS alone says who answered"
        return yes(READY, "ConfiguredUnsigned", message)
    try:
        usable = isinstance(load_pem_public_key(channel.public_key.encode()), kind)
    except (ValueError, UnsupportedAlgorithm):
        usable = False
    if not usable:
        message = f"erasure.publicKey is not {called} public key: no receipt could be accepted"
        return no(READY, "PublicKeyUnusable", message)
    return yes(READY, "Configured", "erasures are passed on and its receipts are checked; it is not called at rest")
