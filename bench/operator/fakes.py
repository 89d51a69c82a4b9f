"""`python -m bench.operator.fakes VAULT TOKEN_FILE SECRET_FILE`: Ray Serve, the Gateways and the prober.

The small true fakes of the tests in a process of their own, so that their processor time is not taken for the
operator's. Says its addresses as one line of JSON and ends with its standard input.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from imagint_operator.dataplane.fakes import FakeGateways, FakeProber, FakeTenant
from imagint_operator.serve.fakes import FakeServe
from imagint_privacy.vault import KeyAdmin, VaultSession

STARTING_SECONDS = 0.1
RECORDS = 3


class Everybody(dict[str, int]):
    """Of each subject something is kept until it is erased, so that each erasure goes all its way."""

    def __init__(self) -> None:
        super().__init__()
        self._erased: set[str] = set()

    def __contains__(self, subject: object) -> bool:
        return subject not in self._erased

    def get(self, subject: str, _default: int = 0) -> int:  # type: ignore[override]
        return RECORDS if subject in self else 0

    def pop(self, subject: str, _default: object = None) -> int:
        kept = self.get(subject)
        self._erased.add(subject)
        return kept


class Holding(FakeGateways):
    """Gateways that hold something of everybody."""

    def tenant(self, name: str) -> FakeTenant:
        return self.tenants.setdefault(name, FakeTenant(records=Everybody()))


def main() -> int:
    """Serve until the standard input ends."""
    vault, token_file, secret_file = sys.argv[1:]
    keys = KeyAdmin(VaultSession(vault, "controller", Path(token_file)))
    secret = Path(secret_file).read_text().strip()
    with (
        FakeServe(secret, delay=STARTING_SECONDS) as serve,
        Holding(secret, keys.state) as gateways,
        FakeProber(secret, keys.state, gateways) as prober,
    ):
        print(json.dumps({"serve": serve.url, "gateways": gateways.url, "prober": prober.url}), flush=True)
        sys.stdin.read()
    return 0


if __name__ == "__main__":
    sys.exit(main())
