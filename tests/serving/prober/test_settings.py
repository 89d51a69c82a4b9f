"""The prober's settings, and its process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from imagint_serving.prober.errors import ProberSettingsError
from imagint_serving.prober.settings import REQUIRED, ProberSettings

GOOD = {
    "IMAGINT_VAULT_ADDR": "http://127.0.0.1:8200",
    "IMAGINT_VAULT_TOKEN_FILE": "/run/vault-token",
    "IMAGINT_SERVE_URL": "http://127.0.0.1:8000/",
    "IMAGINT_DATAPLANE_TOKEN_FILE": "/run/dataplane-token",
    "IMAGINT_PLATFORM_FILE": "/run/platform.json",
    "IMAGINT_PROBES_DIR": "/var/probes",
    "IMAGINT_PROBER_PORT": "8443",
}


def test_they_are_read_from_the_environment() -> None:
    settings = ProberSettings.from_environment(GOOD)
    assert (settings.serve_url, settings.host, settings.port) == ("http://127.0.0.1:8000", "127.0.0.1", 8443)


@pytest.mark.parametrize("name", REQUIRED)
def test_one_that_is_missing_is_named(name: str) -> None:
    with pytest.raises(ProberSettingsError, match=name):
        ProberSettings.from_environment({key: value for key, value in GOOD.items() if key != name})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("IMAGINT_PROBER_PORT", "0"),
        ("IMAGINT_PROBER_PORT", "65536"),
        ("IMAGINT_PROBER_PORT", "http"),
        ("IMAGINT_VAULT_ADDR", "127.0.0.1:8200"),
        ("IMAGINT_SERVE_URL", "file:///etc"),
    ],
)
def test_one_that_is_malformed_is_named(name: str, value: str) -> None:
    with pytest.raises(ProberSettingsError, match=name):
        ProberSettings.from_environment({**GOOD, name: value})


def test_the_process_says_what_it_lacks(tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("IMAGINT_")}
    command = [sys.executable, "-m", "imagint_serving.prober"]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 2
    assert "not set: IMAGINT_VAULT_ADDR" in done.stderr
    assert "Traceback" not in done.stderr
