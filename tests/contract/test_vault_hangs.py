"""A Vault that accepts and never answers: callers of one session wait side by side, never one behind the other."""

from __future__ import annotations

import socket
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from imagint_privacy.errors import KeysUnavailableError
from imagint_privacy.vault import VaultSession

TIMEOUT, CALLERS = 0.5, 12


def test_timeouts_of_many_callers_do_not_add_up(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("t")
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(64)
        session = VaultSession(
            f"http://127.0.0.1:{silent.getsockname()[1]}", "operator", tmp_path / "token", timeout=TIMEOUT
        )

        def call(_: int) -> None:
            with pytest.raises(KeysUnavailableError):
                session.call("get", "transit/keys/k")

        began = time.monotonic()
        with ThreadPoolExecutor(CALLERS) as threads:
            list(threads.map(call, range(CALLERS)))
        assert time.monotonic() - began < TIMEOUT * CALLERS / 2
