"""Signed notes and checkpoints, with the examples of their specifications."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from imagint_privacy.transparency import checkpoints, notes
from imagint_privacy.transparency.checkpoints import Checkpoint
from imagint_privacy.transparency.errors import LogRefusedError, MalformedLogError, NoteForgedError, NoteUnsignedError
from imagint_privacy.transparency.merkle import EMPTY_ROOT
from imagint_privacy.transparency.notes import COSIGNATURE, ED25519, Note, NoteSignature, VerifierKey

EXAMPLE_KEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
EXAMPLE = (
    "This is an example message.\n\n\u2014 example.com/foo "
    "Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n"
).encode()
PRIVATE = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = PRIVATE.public_key().public_bytes_raw()
LOG = VerifierKey("log.test/evidence", ED25519, PUBLIC)
WITNESS = VerifierKey("witness.test/w1", COSIGNATURE, PUBLIC)
CHECKPOINT = Checkpoint(LOG.name, 7, bytes(32))


def signed(checkpoint: Checkpoint = CHECKPOINT) -> Note:
    return checkpoints.signed(checkpoint, LOG, PRIVATE.sign(checkpoint.text().encode()))


def test_the_example_of_the_specification_verifies() -> None:
    key = VerifierKey.parse(EXAMPLE_KEY)
    assert key.encoded() == EXAMPLE_KEY
    note = notes.parse(EXAMPLE)
    assert note.demand([key]) == (key,)
    assert note.encoded() == EXAMPLE


@pytest.mark.parametrize("at", range(0, len(EXAMPLE), 3))
def test_no_changed_bit_of_the_example_passes(at: int) -> None:
    changed = EXAMPLE[:at] + bytes([EXAMPLE[at] ^ 4]) + EXAMPLE[at + 1 :]
    with pytest.raises(LogRefusedError):
        notes.parse(changed).demand([VerifierKey.parse(EXAMPLE_KEY)])


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="nothing"),
        pytest.param("example.com/foo", id="a name only"),
        pytest.param(EXAMPLE_KEY.replace("530d903a", "530d903b"), id="another id"),
        pytest.param(EXAMPLE_KEY.replace("example", "elpmaxe"), id="another name"),
        pytest.param(EXAMPLE_KEY[:-2] + "==", id="a short key"),
        pytest.param("a b" + EXAMPLE_KEY[3:], id="a space in the name"),
    ],
)
def test_what_is_no_verifier_key_is_refused(text: str) -> None:
    with pytest.raises(MalformedLogError):
        VerifierKey.parse(text)


def test_signatures_by_strangers_are_passed_over_and_prove_nothing() -> None:
    stranger = VerifierKey("stranger.test", ED25519, bytes(32))
    note = Note(CHECKPOINT.text(), (NoteSignature("stranger.test", b"0123", b"x" * 64), *signed().signatures))
    assert note.signed_by([LOG, stranger]) == (LOG,)
    with pytest.raises(NoteUnsignedError):
        note.demand([stranger])


def test_a_signature_that_names_a_trusted_key_and_does_not_fit_spoils_the_note() -> None:
    note = Note(CHECKPOINT.text(), (*signed().signatures, NoteSignature(LOG.name, LOG.key_id, b"x" * 64)))
    with pytest.raises(NoteForgedError):
        note.demand([LOG])


def test_a_witness_signs_the_time_too() -> None:
    value = PRIVATE.sign(notes.cosigned(CHECKPOINT.text(), 1_700_000_000))
    line = notes.cosignature(WITNESS, 1_700_000_000, value)
    note = Note(CHECKPOINT.text(), (*signed().signatures, line))
    assert notes.parse(note.encoded()).cosigned_at(WITNESS) == 1_700_000_000
    assert signed().cosigned_at(WITNESS) is None
    later = Note(CHECKPOINT.text(), (notes.cosignature(WITNESS, 1_700_000_001, value),))
    with pytest.raises(NoteForgedError):
        later.cosigned_at(WITNESS)


def test_a_checkpoint_is_read_as_it_was_written() -> None:
    found, note = checkpoints.opened(signed().encoded(), LOG)
    assert (found, note) == (CHECKPOINT, signed())
    extended = Checkpoint(LOG.name, 0, EMPTY_ROOT, ("more",))
    assert checkpoints.opened(signed(extended).encoded(), LOG)[0] == extended


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("log.test/evidence\n7\n", id="no root"),
        pytest.param("log.test/evidence\n07\n" + "A" * 43 + "=\n", id="a zero in front"),
        pytest.param("log.test/evidence\n-7\n" + "A" * 43 + "=\n", id="a negative size"),
        pytest.param("log.test/evidence\n9999999999999999999\n" + "A" * 43 + "=\n", id="a size beyond any log"),
        pytest.param("log.test/evidence\n7\n" + "A" * 40 + "\n", id="a short root"),
        pytest.param("log.test/evidence\n7\n" + "A" * 42 + "B=\n", id="a root spelt otherwise"),
        pytest.param("log.test/other\n7\n" + "A" * 43 + "=\n", id="another log's"),
    ],
)
def test_what_is_no_checkpoint_of_this_log_is_refused(text: str) -> None:
    note = Note(text, (NoteSignature(LOG.name, LOG.key_id, PRIVATE.sign(text.encode())),))
    with pytest.raises(MalformedLogError):
        checkpoints.opened(note.encoded(), LOG)
