"""An operator process behind proxies, on a real apiserver and a real Vault, with the fakes of the data plane."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from imagint_dev.faults.lives import Bounds, Hands
from imagint_dev.faults.proxy import Proxies
from imagint_dev.faults.runs import Play, Supervisor, behind, peers
from imagint_dev.faults.worlds import World

POLICY = Path(__file__).resolve().parents[4] / "examples" / "policy.yaml"
SWEEP = os.environ.get("IMAGINT_SWEEP", "")
LEASE = {"lease_seconds": 3.0, "lease_renew_seconds": 2.0, "lease_retry_seconds": 0.3}


class Ground:
    """Everything that a test needs to play a world under faults."""

    def __init__(self, bench: Any, proxies: Proxies, api: Any, folder: Path) -> None:
        self.bench, self.proxies, self.script, self.hands = bench, proxies, proxies.script, Hands()
        bench.prober.clock = self.hands.now
        self.plain = bench.settings.model_copy(update=LEASE)
        self.settings = behind(self.plain, proxies, folder / "behind")
        self.log = folder / "operator.log"
        self._api, self._folder = api, folder

    def play(self, name: str, seconds: float = 60.0) -> Play:
        world = World(self._api, f"play-{name}", self.bench.serve, self.bench.gateways, self.bench.key_state)
        world.home = str(self._folder)
        return Play(world, self.hands, yaml.safe_load(POLICY.read_text()), seconds)

    def supervised(self, bounds: Bounds = Bounds()) -> Supervisor:  # noqa: B008
        return Supervisor(self.settings, self.hands, self.log, bounds)


@pytest.fixture(scope="session", autouse=True)
def asked_for() -> None:
    """Minutes of kills, storms and frozen clocks, and waits of real seconds: they want a machine to themselves."""
    if not SWEEP:
        pytest.skip("faults are injected by `make faults` (a sample) or with IMAGINT_SWEEP=full (every write)")


@pytest.fixture
def ground(bench: Any, stack: Any, cluster: Any, tmp_path: Path) -> Iterator[Ground]:
    cluster.run("delete", "lease", "imagint-operator", "--namespace=imagint-system", "--ignore-not-found")
    with contextlib.ExitStack() as left:
        proxies = left.enter_context(Proxies(peers(bench.settings)))
        api = left.enter_context(stack.api())
        yield Ground(bench, proxies, api, tmp_path)


@pytest.fixture(scope="session")
def fixed_points() -> dict[str, Any]:
    """What a world comes to without faults, once it was seen."""
    return {}


@pytest.fixture
def fixed_point(ground: Ground, fixed_points: dict[str, Any]) -> Callable[[], dict[str, Any]]:
    """The snapshot of a world that was played without faults."""

    def found() -> dict[str, Any]:
        if "whole" not in fixed_points:
            with ground.supervised():
                play = ground.play("calm")
                begun = len(ground.proxies.journal)
                play.all()
                fixed_points["whole"] = play.settled()
                fixed_points["writes"] = ground.proxies.writes(begun)
                play.end()
            ground.hands.ahead = timedelta()
        return dict(fixed_points["whole"])

    return found
