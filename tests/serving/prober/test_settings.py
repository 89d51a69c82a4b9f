"""The prober's settings, and its process."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
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
        ("IMAGINT_DEDICATED_SERVE_URL", "{namespace}.svc"),
        ("IMAGINT_DEDICATED_SERVE_URL", "http://one.place.for.all"),
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


def test_the_process_starts_answers_and_stops_when_told(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {**os.environ, **GOOD, "IMAGINT_PROBER_PORT": str(port), "IMAGINT_PROBES_DIR": str(tmp_path)}
    command = [sys.executable, "-m", "imagint_serving.prober"]
    process = subprocess.Popen(
        command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        ends = time.monotonic() + 60
        while time.monotonic() < ends:
            with contextlib.suppress(httpx.TransportError):
                assert httpx.get(f"http://127.0.0.1:{port}/healthz", trust_env=False).json() == {"ok": True}
                break
            assert process.poll() is None
            time.sleep(0.1)
        question = {"tenant": "acme", "namespace": "tenant-acme", "subject": "subj-" + "a" * 26}
        answer = httpx.post(f"http://127.0.0.1:{port}/probes/v1/x/before", json=question, trust_env=False)
        assert answer.status_code == 401
        process.terminate()
        output, _ = process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == 0, output
    assert "subj-" not in output
    assert "Traceback" not in output


def test_the_process_needs_neither_torch_nor_ray() -> None:
    script = "import sys, imagint_serving.prober.__main__; print([m for m in ('torch', 'ray') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"
