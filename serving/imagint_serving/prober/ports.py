"""What the prober needs of the world besides Vault (`imagint_privacy.keys.ports.KeyProber`)."""

from __future__ import annotations

from enum import Enum
from typing import Protocol

from imagint_serving.prober.messages import Canaries, Holdings, Root


class Opening(Enum):
    """What became of a canary."""

    OPENED = "opened"
    OTHER_CONTENT = "opened with other content"
    KEY_DESTROYED = "refused: its key is destroyed"
    FAILED = "neither opened nor refused as destroyed"


class Gateway(Protocol):
    """The privacy API of a tenant's Gateway, as far as the prober may use it."""

    def root(self, tenant: str) -> Root:
        """The current wrapped root.

        Raises:
            GatewayUnavailableError: no answer, or not the agreed one. So do the others.
        """

    def seal_canaries(self, tenant: str, request: str, subject: str, nonce: str) -> Canaries:
        """Have the nonce sealed under the subject's keys, and under some that stay."""

    def open_canary(self, tenant: str, sealed: str, nonce: str) -> Opening:
        """Try to open a canary."""

    def holdings(self, tenant: str, subject: str) -> Holdings:
        """Count what is listed about the subject."""
