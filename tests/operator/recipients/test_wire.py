"""Both protocols against a small true recipient that fails in every way that recipients do."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from imagint_operator.api.processors import DataProcessor
from imagint_operator.api.requests import ProcessorProgress, ProcessorState
from imagint_operator.recipients import protocols
from imagint_operator.recipients.fakes import FakeRecipient, Fault
from imagint_operator.recipients.protocols import Asking, Reply
from imagint_operator.recipients.wire import Recipients

SUBJECT = "subj-" + "a" * 26
Make = Callable[..., DataProcessor]


class LocalSigner:
    """Vault's part, in memory."""

    key_id = "local"

    def __init__(self) -> None:
        self._key = Ed25519PrivateKey.generate()

    def sign(self, message: bytes) -> bytes:
        return self._key.sign(message)

    def public_key(self) -> str:
        return self._key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


class Clock:
    def __init__(self) -> None:
        self.now = datetime.now(UTC).replace(microsecond=0)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def signer() -> LocalSigner:
    return LocalSigner()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def desk(signer: LocalSigner, clock: Clock) -> Iterator[FakeRecipient]:
    with FakeRecipient(signer.public_key) as fake:
        fake.clock = clock
        yield fake


@pytest.fixture
async def recipients(signer: LocalSigner, clock: Clock) -> AsyncIterator[Recipients]:
    made = Recipients(signer, clock)
    yield made
    await made.close()


@pytest.fixture
def asking(clock: Clock) -> Asking:
    return Asking("uid-1", "acme", SUBJECT, "GDPR", (), clock.now, clock.now + timedelta(days=30))


class Told:
    """One erasure's recipients, round after round."""

    def __init__(self, recipients: Recipients, clock: Clock, asking: Asking, processors: list[DataProcessor]) -> None:
        self.recipients, self.clock, self.asking, self.processors = recipients, clock, asking, processors
        self.entries: tuple[ProcessorProgress, ...] = ()
        self.wait: float | None = 0.0

    async def round(self) -> list[str]:
        self.entries, self.wait = await self.recipients.round(self.asking, self.processors, self.entries)
        self.clock.now += timedelta(seconds=self.wait or 0)
        return [entry.state.value for entry in self.entries]

    async def to_the_end(self, rounds: int = 40) -> list[str]:
        states: list[str] = []
        for _ in range(rounds):
            states = await self.round()
            if self.wait is None:
                return states
        raise AssertionError(f"still waiting: {states}")


@pytest.fixture(params=["OpenDSR", "Webhook"])
def told(
    request: pytest.FixtureRequest, recipients: Recipients, clock: Clock, asking: Asking, desk: FakeRecipient,
    make_processor: Make,
) -> Told:  # fmt: skip
    webhook = request.param == "Webhook"
    how = {"url": f"{desk.url}/hook", "publicKey": desk.public_key} if webhook else {"url": desk.url}
    return Told(recipients, clock, asking, [make_processor(protocol=request.param, **how)])


async def test_a_recipient_erases_and_its_receipt_is_kept(told: Told, desk: FakeRecipient) -> None:
    desk.asks = 3
    assert await told.to_the_end() == ["Completed"]
    (entry,) = told.entries
    assert entry.receipt_digest is not None
    assert entry.told_at is not None
    assert set(desk.erased.values()) == {SUBJECT}


@pytest.mark.parametrize("fault", list(Fault))
async def test_one_that_fails_is_told_again_and_erases_once(told: Told, desk: FakeRecipient, fault: Fault) -> None:
    desk.faults = [fault, fault]
    assert await told.to_the_end() == ["Completed"]
    assert len(desk.erased) == 1


async def test_told_twice_after_a_crash_it_erases_once(told: Told, desk: FakeRecipient) -> None:
    await told.round()
    told.entries, told.recipients._pauses = (), {}  # killed before the status was written
    assert await told.to_the_end() == ["Completed"]
    assert len(set(desk.deliveries)) == len(desk.erased) == 1


async def test_a_refusal_is_an_answer(told: Told, desk: FakeRecipient) -> None:
    desk.final = "cancelled" if told.processors[0].spec.erasure.protocol.value == "OpenDSR" else "refused"
    assert await told.to_the_end() == ["Refused"]


async def test_one_that_never_answers_is_overdue_and_is_not_asked_in_a_hurry(told: Told, desk: FakeRecipient) -> None:
    desk.down = True
    rounds = 0
    while told.wait is not None and rounds < 1000:
        states, rounds = await told.round(), rounds + 1
    assert states == ["Overdue"]
    assert rounds < 14 * 24 + 20  # a pause that doubles up to an hour, for 14 days
    assert told.entries[0].told_at is None


async def test_a_dead_one_does_not_hold_up_another(told: Told, make_processor: Make) -> None:
    told.processors.append(make_processor("a-dead-one", url="http://127.0.0.1:9/hook"))
    for _ in range(6):
        states = await told.round()
    assert states == ["Pending", "Completed"]
    assert told.entries[0].detail == "ConnectError"


@pytest.mark.parametrize("told", ["Webhook"], indirect=True)
async def test_a_receipt_that_is_not_signed_is_none(told: Told, desk: FakeRecipient) -> None:
    desk.faults = [Fault.UNSIGNED]
    assert await told.round() == ["Pending"]
    assert told.entries[0].detail == "ReceiptNotSigned"


def test_an_opendsr_answer_is_checked_against_the_recipients_key() -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    body = b'{"request_status":"completed"}'
    headers = {protocols.OPENDSR_SIGNATURE: base64.b64encode(key.sign(body, PKCS1v15(), SHA256())).decode()}
    assert protocols.opendsr_signed(Reply(200, headers, body), pem)
    assert not protocols.opendsr_signed(Reply(200, headers, body + b" "), pem)
    assert not protocols.opendsr_signed(Reply(200, {}, body), pem)
    assert not protocols.opendsr_signed(Reply(200, {protocols.OPENDSR_SIGNATURE: "é"}, body), pem)


def test_an_old_receipt_is_none(signer: LocalSigner, clock: Clock) -> None:
    body = b'{"status":"completed"}'
    headers = protocols.webhook_headers("m", clock.now, signer.sign(protocols.signed_content("m", clock.now, body)))
    reply, key = Reply(200, headers, body), signer.public_key()
    assert protocols.webhook_signed(reply, key, "m", clock.now)
    assert not protocols.webhook_signed(reply, key, "m", clock.now + protocols.TOLERANCE + timedelta(seconds=1))
    assert not protocols.webhook_signed(reply, key, "another", clock.now)


@pytest.mark.parametrize("body", [b"", b"[]", b'"completed"', b'{"status":"done"}', b'{"status":7}', b"\xff"])
def test_what_is_no_receipt_never_completes(body: bytes) -> None:
    assert protocols.webhook_receipt(Reply(200, {}, body)).state in {None, ProcessorState.TOLD}
    assert protocols.opendsr_status(Reply(200, {}, body), "x").state is None


def test_an_answer_about_another_request_is_none() -> None:
    body = json.dumps({"subject_request_id": "another", "request_status": "completed"}).encode()
    assert protocols.opendsr_status(Reply(200, {}, body), "mine").state is None


def test_two_recipients_behind_one_address_have_two_ids(asking: Asking) -> None:
    assert protocols.request_id(asking, "desk") != protocols.request_id(asking, "mail")
    assert protocols.request_id(asking, "desk") == protocols.request_id(asking, "desk")
