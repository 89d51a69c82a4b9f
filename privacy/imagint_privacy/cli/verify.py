"""`imagint verify`: the one command that needs no trust in us. It reads a file and public keys; it touches no network.

Exit codes: 0 verified under a trusted key; 1 refused, with the reason; 2 wrong usage; 3 intact, but no key was
given to trust. It must end in one of these on any input, never in a traceback.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Final

import click

from imagint_privacy.cli import rendering
from imagint_privacy.evidence import documents, dsse
from imagint_privacy.evidence.errors import CertificateRefusedError, SignerUntrustedError, TrustedKeyError
from imagint_privacy.evidence.verification import Expected
from imagint_privacy.evidence.verification import verify as check

REFUSED: Final = 1
UNTRUSTED: Final = 3
MAX_KEY_BYTES: Final = 16 * 1024
MAX_ANCHORS: Final = 256
EPILOG: Final = (
    "Trusted keys: each --key; without one, the *.pem files in the folder $IMAGINT_TRUST, else in "
    "~/.config/imagint/trust. Exit code: 0 verified, 1 refused, 2 wrong usage, 3 intact but no key to trust was given."
)


@click.command(epilog=EPILOG)
@click.argument("file", type=click.File("rb"))
@click.option(
    "--key",
    "keys",
    multiple=True,
    metavar="PEM",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A file with a public key to trust (repeatable).",
)
@click.option("--json", "as_json", is_flag=True, help="Answer in JSON, for programs.")
@click.option("--digest", metavar="sha256:…", help="Demand this digest (the request's status.evidence.digest).")
@click.option("--request", metavar="UID", help="Demand that it is about this request.")
@click.option("--tenant", metavar="NAME", help="Demand that it is about this tenant.")
@click.option("--subject", metavar="HANDLE", help="Demand that it is about this subject (with --salt).")
@click.option("--salt", metavar="HEX", help="The salt of the subject's commitment (status.evidence.salt).")
def verify(file: IO[bytes], keys: Sequence[Path], as_json: bool, **expected: str | None) -> None:
    """Check the certificate in FILE (or - for standard input) offline.

    Says in plain words what it proves, what its issuer only claims, what it does not cover, and until when the
    destroyed key could come back.
    """
    trusted = _trusted(keys or _anchors())
    show = rendering.as_json if as_json else rendering.as_text
    try:
        content = file.read(documents.MAX_BYTES + 2)
        report = check(content, trusted, datetime.now(UTC), Expected(**expected))
    except SignerUntrustedError as error:
        show(error.report, error)
        raise SystemExit(UNTRUSTED) from error
    except CertificateRefusedError as error:
        show(None, error)
        raise SystemExit(REFUSED) from error
    except OSError as error:
        raise click.UsageError(f"the file cannot be read: {error.strerror}") from error
    show(report, None)


def _trusted(paths: Sequence[Path]) -> list[bytes]:
    pems = []
    for path in paths:
        try:
            with path.open("rb") as source:
                pem = source.read(MAX_KEY_BYTES)
            dsse.public_key(pem)
        except OSError as error:
            raise click.UsageError(f"key {path} cannot be read: {error.strerror}") from error
        except TrustedKeyError as error:
            raise click.UsageError(f"key {path} is no key to trust: {error}") from error
        pems.append(pem)
    return pems


def _anchors() -> list[Path]:
    named = os.environ.get("IMAGINT_TRUST")
    folder = Path(named) if named else Path("~/.config/imagint/trust").expanduser()
    if named and not folder.is_dir():
        raise click.UsageError(f"$IMAGINT_TRUST names {folder}, which is no folder")
    found = sorted(folder.glob("*.pem"))
    if len(found) > MAX_ANCHORS:
        raise click.UsageError(f"{folder} holds more than {MAX_ANCHORS} keys")
    return found
