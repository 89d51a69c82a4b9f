"""Every way in which evidence cannot be made, or a certificate is refused.

    EvidenceError
    ├── IncompleteEvidenceError(problems)     these facts do not amount to what the certificate would say
    ├── SigningError                          the signer's answer does not verify under its own public key
    ├── TrustedKeyError                       a key given to trust is not an Ed25519 public key in PEM
    └── CertificateRefusedError               do not rely on this file
        ├── MalformedCertificateError         it is not a certificate at all, or was damaged
        ├── UnsupportedCertificateError       it is of a kind or version that this program does not know
        ├── SignatureInvalidError             it was changed after it was signed, or signed by somebody else
        ├── SignerUnknownError                no key that you trust has signed it
        ├── SignerUntrustedError(report)      intact under the key it carries, but you named no key to trust
        ├── ContradictionError(problems)      it is genuine and its own statements do not fit together
        └── MismatchError                     it is genuine and about something else than you expected

Messages quote nothing from a certificate that was not checked first: it may be hostile.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from imagint_privacy.evidence.findings import VerificationReport


class EvidenceError(Exception):
    """Root of everything that the evidence package raises."""


class IncompleteEvidenceError(EvidenceError):
    """The facts do not support the certificate; `problems` says where, in plain words."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = tuple(problems)


class SigningError(EvidenceError):
    """A signature that nobody could verify is not handed out."""


class TrustedKeyError(EvidenceError):
    """What was given as a trusted key is none."""


class CertificateRefusedError(EvidenceError):
    """The certificate must not be relied upon; `code` names the reason for programs."""

    code: ClassVar[str] = "refused"


class MalformedCertificateError(CertificateRefusedError):
    """The file is not a well-formed certificate."""

    code = "malformed"


class UnsupportedCertificateError(CertificateRefusedError):
    """The file is of a kind or version that this program does not know."""

    code = "unsupported"


class SignatureInvalidError(CertificateRefusedError):
    """A signature does not fit the content."""

    code = "signature_invalid"


class SignerUnknownError(CertificateRefusedError):
    """None of the trusted keys has signed."""

    code = "signer_unknown"


class SignerUntrustedError(CertificateRefusedError):
    """The content is intact under a key that nobody here vouches for; `report` says what it would show."""

    code = "signer_untrusted"

    def __init__(self, report: VerificationReport) -> None:
        super().__init__("the signature fits the key that the file itself carries, and you named no key to trust")
        self.report = report


class ContradictionError(CertificateRefusedError):
    """The signed statements do not fit together; `problems` lists them."""

    code = "contradiction"

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = tuple(problems)


class MismatchError(CertificateRefusedError):
    """A certificate about something else than was asked for: a replay, or a mix-up."""

    code = "mismatch"
