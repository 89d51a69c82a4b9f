"""What a Gateway's process loads: never a model framework, and Ray only where Serve is."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = {"torch", "diffusers", "transformers", "ray", "kubernetes", "sqlalchemy", "hvac"}
PROBE = "import sys, {modules}; print(sorted({heavy} & set(sys.modules)))"


@pytest.mark.parametrize(
    ("modules", "loaded"),
    [
        pytest.param("imagint_serving.app", [], id="the builders load nothing heavy"),
        pytest.param("imagint_serving.transport", [], id="nor does what crosses Ray"),
        pytest.param("imagint_serving.projector.service", [], id="nor does the projector"),
        pytest.param("imagint_serving.gateway.deployment", ["ray"], id="the deployment loads Ray alone"),
        pytest.param("imagint_serving.gateway.starting", ["hvac", "sqlalchemy"], id="a replica adds no model"),
    ],
)
def test_imports(modules: str, loaded: list[str]) -> None:
    command = [sys.executable, "-c", PROBE.format(modules=modules, heavy=HEAVY)]
    answer = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert answer.stdout.strip() == str(loaded)
