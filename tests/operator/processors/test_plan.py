"""What is said of a recipient without calling anybody."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from imagint_operator.api.processors import DataProcessor
from imagint_operator.processors.plan import status

KEY = Ed25519PrivateKey.generate().public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


@pytest.mark.parametrize(
    ("erasure", "wanted"),
    [
        pytest.param({}, ("True", "ConfiguredUnsigned"), id="a webhook without a key"),
        pytest.param({"publicKey": KEY}, ("True", "Configured"), id="a webhook with its key"),
        pytest.param({"publicKey": KEY[:80]}, ("False", "PublicKeyUnusable"), id="half a key"),
        pytest.param({"protocol": "OpenDSR", "publicKey": KEY}, ("False", "PublicKeyUnusable"), id="the wrong kind"),
        pytest.param({"protocol": "Manual"}, ("True", "ByHand"), id="told by hand"),
        pytest.param({"protocol": "None"}, ("True", "NotTold"), id="not told"),
    ],
)
def test_ready_says_whether_erasures_can_be_passed_on(
    make_processor: Callable[..., DataProcessor], now: datetime, erasure: dict[str, str], wanted: tuple[str, str]
) -> None:
    processor = make_processor(**erasure)
    (found,) = status(processor, now).conditions
    assert (found.status.value, found.reason) == wanted
    again = processor.model_copy(update={"status": status(processor, now)})
    assert status(again, now) == again.status
