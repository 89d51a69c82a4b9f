"""An operator behind proxies, begun again whenever it ends, and a world brought from its first stage to its last."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from imagint_dev import kubeconfigs
from imagint_dev.faults import snapshots
from imagint_dev.faults.lives import Bounds, Hands, Life
from imagint_dev.faults.proxy import Peer, Proxies
from imagint_dev.faults.rules import Asked, Kill, Rule
from imagint_dev.faults.worlds import SECOND_SCORE, World, require
from imagint_operator.api.models import ModelDeploymentSpec
from imagint_operator.kube import connections
from imagint_operator.serve.revisions import revision_of, template_of
from imagint_operator.settings import Settings

SECOND = {"dtype": "BFloat16"}
HOUR = timedelta(hours=1)
BOUND_SECONDS = 60.0
STILL_SECONDS = 2.5
REACH_SECONDS = 40.0
KUBECONFIGS = ("kubeconfig", "provisioner_kubeconfig", "shredder_kubeconfig")


def peers(settings: Settings) -> dict[str, Peer]:
    """Everybody whom an operator with these settings talks to."""
    api = connections.load(settings.kubeconfig)
    return {
        "api": Peer("api", api.server, api.ssl_context()),
        "vault": Peer("vault", settings.vault_addr),
        "ray": Peer("ray", settings.ray_dashboard),
        "gateways": Peer("gateways", settings.serve_url),
        "prober": Peer("prober", settings.prober_url),
    }


def behind(settings: Settings, proxies: Proxies, folder: Path) -> Settings:
    """The same settings, with a proxy in front of everybody."""
    folder.mkdir(parents=True, exist_ok=True)
    files = {}
    for field in KUBECONFIGS:
        token = getattr(settings, field).parent / "token"
        document = kubeconfigs.with_token_file(proxies.urls["api"], "", field, token)
        del document["clusters"][0]["cluster"]["certificate-authority-data"]
        kubeconfigs.write(folder / field, document)
        files[field] = folder / field
    urls = {"vault_addr": "vault", "ray_dashboard": "ray", "serve_url": "gateways", "prober_url": "prober"}
    return settings.model_copy(update={**files, **{field: proxies.urls[peer] for field, peer in urls.items()}})


class Supervisor:
    """Begins an operator again as soon as it has ended, as kubelet would."""

    def __init__(self, settings: Settings, hands: Hands, log: Path, bounds: Bounds = Bounds()) -> None:  # noqa: B008
        self._begin: Callable[[], Life] = lambda: Life(settings, hands, log, bounds)
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._life: Life | None = None
        self._thread = threading.Thread(target=self._watch, name="supervisor", daemon=True)
        self.lives = 0
        self.ends: list[int | None] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join(10)
        self.kill()

    def kill(self) -> None:
        """SIGKILL for the life that is."""
        with self._lock:
            if self._life is not None:
                self._life.kill()

    def _watch(self) -> None:
        while not self._stop.is_set():
            with self._lock:
                if self._life is None or not self._life.alive:
                    if self._life is not None:
                        self.ends.append(self._life.ended)
                    self._life = self._begin()
                    self.lives += 1
            self._stop.wait(0.02)


@dataclass
class Play:
    """What a person does to a world, stage by stage, each once the one before has settled."""

    world: World
    hands: Hands
    policy: Mapping[str, Any]
    seconds: float = BOUND_SECONDS

    def all(self) -> None:
        """From nothing to the last fixed point before the end of the tenant."""
        self.first()
        self.second()
        self.third()

    def first(self) -> None:
        """Everything is applied; one person is erased, one restricted, one held."""
        world = self.world
        app = f"{world.name}.model.shapes." + revision_of(
            template_of(ModelDeploymentSpec.model_validate({"source": {"type": "Bundled", "name": "shapes"}, **SECOND}))
        )
        world.gateways.scores[app] = SECOND_SCORE
        world.begin(self.policy, self.hands.now())
        self._until(lambda: world.get(f"/api/v1/namespaces/{world.namespace}") is not None, "a namespace")
        world.fill()
        self._until(lambda: self._request("ada") == ("True", "Erased"), "an erasure")
        self._until(lambda: self._request("eve") == ("False", "Held"), "a request that is held")
        self._until(lambda: self._request("bob") == ("True", "Restricted"), "a restriction")
        self._until(lambda: world.says("modeldeployments", "Ready", "shapes")[0] == "True", "a model")
        self._until(lambda: bool(world.says("breachincidents", "AuthorityNotified")[0]), "a breach that is judged")
        self._until(lambda: world.says("tenants", "RetentionCurrent") == ("False", "Scheduled"), "a schedule")

    def second(self) -> None:
        """A revision that is no good, and an hour later a run of retention."""
        self.world.model(**SECOND)
        self._until(lambda: self.world.says("modeldeployments", "RolledOut", "shapes")[1] == "QualityTooLow", "a trial")
        self.hands.ahead += HOUR
        self._until(lambda: self.world.says("tenants", "RetentionCurrent") == ("True", "Completed"), "retention")

    def third(self) -> None:
        """The hold ends."""
        self.world.release()
        self._until(lambda: self._request("eve") == ("True", "Erased"), "an erasure after a hold")

    def end(self) -> None:
        """The tenant goes."""
        world = self.world
        world.delete()
        deadline = time.monotonic() + self.seconds
        while world.own("tenants"):
            require(time.monotonic() < deadline, "the tenant does not go")
            time.sleep(0.1)
        require(world.key() is None, "the tenant is gone and its key is not")
        require(world.get(f"/api/v1/namespaces/{world.namespace}") is None, "the namespace is left")
        world.sweep_up()

    def settled(self) -> dict[str, Any]:
        """The snapshot that does not change any more."""
        seen, since = self.world.snapshot(), time.monotonic()
        deadline = since + self.seconds
        while time.monotonic() - since < STILL_SECONDS:
            time.sleep(0.2)
            if (new := self.world.snapshot()) != seen:
                seen, since = new, time.monotonic()
            require(time.monotonic() < deadline, "it does not come to rest")
        return seen

    def reaches(self, wanted: Mapping[str, Any]) -> None:
        """Wait for the same fixed point."""
        deadline = time.monotonic() + REACH_SECONDS
        while found := snapshots.differences(wanted, self.world.snapshot()):
            self.world.look()
            require(not self.world.problems, "; ".join(self.world.problems))
            require(time.monotonic() < deadline, "another fixed point:\n" + "\n".join(found))
            time.sleep(0.2)

    def _request(self, name: str) -> tuple[str, str]:
        return self.world.says("datasubjectrequests", "Complete", name)

    def _until(self, seen: Callable[[], bool], what: str) -> None:
        self.world.until(seen, self.seconds, what)


def killing(supervisor: Supervisor, *, after: bool, lasts: Sequence[int] = (2, 3, 5, 9, 14)) -> Rule:
    """Every life dies at one of its writes, before or after it: the first at its second, the next at its third...

    Never all at the first: what is done elsewhere is recorded by a second write, and would be done again for ever.
    """
    done: dict[int, int] = {}

    def due(asked: Asked) -> bool:
        if not asked.writes:
            return False
        life = supervisor.lives
        done[life] = done.get(life, 0) + 1
        return done[life] == lasts[life % len(lasts)]

    return Rule(Kill(supervisor.kill, after), due)
