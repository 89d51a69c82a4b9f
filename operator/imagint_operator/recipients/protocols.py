"""Pure: what is said to a recipient, and what its answers mean.

OpenDSR: the IAB's Data Subject Rights protocol, version 3 (`POST /requests`, `GET /requests/{id}`), answers signed in
`X-OpenDSR-Signature` (RSA, SHA-256). Webhook: Standard Webhooks with ed25519 signatures (`v1a`), both ways.
A person appears as a handle only. The ids are the same for every attempt: who is told twice erases once.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from imagint_operator.api.requests import ProcessorState
from imagint_operator.recipients.plan import Answer

TOLERANCE = timedelta(minutes=5)
OPENDSR_SIGNATURE = "x-opendsr-signature"
_OPENDSR = {
    "pending": ProcessorState.TOLD,
    "in_progress": ProcessorState.ACKNOWLEDGED,
    "completed": ProcessorState.COMPLETED,
    "cancelled": ProcessorState.REFUSED,
}
_WEBHOOK = {
    "received": ProcessorState.ACKNOWLEDGED,
    "in_progress": ProcessorState.ACKNOWLEDGED,
    "completed": ProcessorState.COMPLETED,
    "refused": ProcessorState.REFUSED,
}
_REGULATIONS = {"GDPR": "gdpr", "UKGDPR": "gdpr", "CCPA": "ccpa"}


@dataclass(frozen=True, slots=True)
class Asking:
    """One erasure, as recipients are told of it."""

    uid: str
    tenant: str
    subject: str
    regulation: str
    categories: tuple[str, ...]
    received_at: datetime
    due_by: datetime | None


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back over the wire; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def request_id(asking: Asking, processor: str) -> str:
    """The id under which this recipient knows this erasure: two recipients behind one address have two."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"https://imagint.ai/erasures/{asking.uid}/{processor}"))


def opendsr(asking: Asking, processor: str) -> bytes:
    """The body of an OpenDSR request."""
    identity = {
        "identity_type": "controller_customer_id",
        "identity_value": asking.subject,
        "identity_format": "raw",
    }
    return _json(
        {
            "api_version": "3.0",
            "regulation": _REGULATIONS.get(asking.regulation, "gdpr"),
            "subject_request_id": request_id(asking, processor),
            "subject_request_type": "erasure",
            "submitted_time": _time(asking.received_at),
            "subject_identities": [identity],
            "extensions": {"imagint.ai": {"tenant": asking.tenant, "categories": list(asking.categories)}},
        }
    )


def webhook(asking: Asking, processor: str) -> bytes:
    """The body of a webhook."""
    data = {
        "requestId": request_id(asking, processor),
        "tenant": asking.tenant,
        "subject": asking.subject,
        "regulation": asking.regulation,
        "categories": list(asking.categories),
        "dueBy": _time(asking.due_by) if asking.due_by else None,
    }
    return _json({"type": "erasure.requested", "timestamp": _time(asking.received_at), "data": data})


def signed_content(message_id: str, now: datetime, body: bytes) -> bytes:
    """What a Standard Webhooks signature is made over."""
    return f"{message_id}.{int(now.timestamp())}.".encode() + body


def webhook_headers(message_id: str, now: datetime, signature: bytes) -> dict[str, str]:
    """The headers of a webhook."""
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": f"v1a,{base64.b64encode(signature).decode()}",
    }


def opendsr_told(reply: Reply) -> Answer:
    """The answer to a request: 201, or 409 for one that it has already."""
    if reply.status in {200, 201, 202, 409}:
        return Answer(ProcessorState.TOLD, _digest(reply.body))
    return Answer(detail=f"Status{reply.status}")


def opendsr_status(reply: Reply, expected_id: str) -> Answer:
    """The answer to a question about a request."""
    if reply.status != 200:
        return Answer(detail=f"Status{reply.status}")
    answer = _object(reply.body)
    if answer is None or answer.get("subject_request_id") != expected_id:
        return Answer(detail="ReceiptUnreadable")
    return _stated(_OPENDSR, answer.get("request_status"), reply.body)


def webhook_receipt(reply: Reply) -> Answer:
    """The answer to a webhook."""
    if not 200 <= reply.status < 300:
        return Answer(detail=f"Status{reply.status}")
    answer = _object(reply.body)
    if answer is None:
        return Answer(ProcessorState.TOLD, _digest(reply.body), "NoReceipt")
    return _stated(_WEBHOOK, answer.get("status"), reply.body)


def opendsr_signed(reply: Reply, public_key: str) -> bool:
    """Whether an answer carries the recipient's signature."""
    try:
        key = load_pem_public_key(public_key.encode())
        signature = base64.b64decode(reply.headers.get(OPENDSR_SIGNATURE, ""), validate=True)
        if not isinstance(key, RSAPublicKey):
            return False
        key.verify(signature, reply.body, PKCS1v15(), SHA256())
    except (ValueError, binascii.Error, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def webhook_signed(reply: Reply, public_key: str, message_id: str, now: datetime) -> bool:
    """Whether a receipt is signed by the recipient, for this message, and lately."""
    stamp = reply.headers.get("webhook-timestamp", "")
    if reply.headers.get("webhook-id") != message_id or not stamp.isascii() or not stamp.isdigit() or len(stamp) > 12:
        return False
    moment = datetime.fromtimestamp(int(stamp), UTC) if int(stamp) < 2**34 else None
    if moment is None or abs(now - moment) > TOLERANCE:
        return False
    content = signed_content(message_id, moment, reply.body)
    versions = [part.partition(",") for part in reply.headers.get("webhook-signature", "").split()]
    return any(name == "v1a" and _ed25519(public_key, value, content) for name, _, value in versions)


def _ed25519(public_key: str, signature: str, content: bytes) -> bool:
    try:
        key = load_pem_public_key(public_key.encode())
        if not isinstance(key, Ed25519PublicKey):
            return False
        key.verify(base64.b64decode(signature, validate=True), content)
    except (ValueError, binascii.Error, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _stated(words: Mapping[str, ProcessorState], stated: Any, body: bytes) -> Answer:
    state = words.get(stated) if isinstance(stated, str) else None
    return Answer(detail="ReceiptUnreadable") if state is None else Answer(state, _digest(body))


def _object(body: bytes) -> dict[str, Any] | None:
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return answer if isinstance(answer, dict) else None


def _digest(body: bytes) -> str:
    return f"sha256:{hashlib.sha256(body).hexdigest()}"


def _json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
