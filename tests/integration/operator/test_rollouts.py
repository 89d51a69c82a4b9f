"""New revisions of a model on a real apiserver: only what has passed serves, and no kill changes that."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from imagint_operator.api.models import ModelDeploymentSpec
from imagint_operator.serve.revisions import revision_of, template_of

pytestmark = pytest.mark.stack
SOURCE = {"source": {"type": "Bundled", "name": "shapes"}}
SECOND = {"dtype": "BFloat16"}


def app(tenant: str, **spec: Any) -> str:
    revision = revision_of(template_of(ModelDeploymentSpec.model_validate(SOURCE | spec)))
    return f"{tenant}.model.shapes.{revision}"


class Watched:
    """One model of one tenant, as a person and its callers see it."""

    def __init__(self, bench: Any, cluster: Any, eventually: Callable[..., Any], name: str) -> None:
        self.bench, self.cluster, self.eventually, self.name = bench, cluster, eventually, name
        self.namespace = f"tenant-{name}"
        bench.gateways.known = self._known

    def _known(self, tenant: str, model: str) -> set[str]:
        found = self.bench.serve.config(f"{tenant}.gateway")["deployments"][0]["user_config"]["models"][model]
        return {found["app"], found["candidate"]} - {None}

    async def begin(self) -> None:
        manifest = {"apiVersion": "imagint.ai/v1alpha1", "kind": "Tenant", "metadata": {"name": self.name},
                    "spec": {"residency": {"region": "eu"}}}  # fmt: skip
        await asyncio.to_thread(self.cluster.apply, manifest)
        await self.eventually(lambda: self.cluster.condition("tenant", self.name, "GatewayReady")[0], "True")

    async def apply(self, **spec: Any) -> None:
        metadata = {"name": "shapes", "namespace": self.namespace}
        manifest = {"apiVersion": "imagint.ai/v1alpha1", "kind": "ModelDeployment", "metadata": metadata}
        await asyncio.to_thread(self.cluster.apply, {**manifest, "spec": SOURCE | spec})

    def condition(self, type_: str) -> tuple[str, str]:
        found: tuple[str, str] = self.cluster.condition("modeldeployment", "shapes", type_, self.namespace)
        return found

    def routed(self) -> str | None:
        settings = self.bench.serve.config(f"{self.name}.gateway")["deployments"][0]["user_config"]
        found: str | None = settings["models"]["shapes"]["app"]
        return found

    def apps(self) -> set[str]:
        return {each for each in self.bench.serve.names if each.startswith(f"{self.name}.model.")}

    async def rolled_out(self, reason: str) -> None:
        await self.eventually(lambda: self.condition("RolledOut")[1], reason, seconds=40)


async def test_a_good_second_a_failing_third_and_the_way_back(
    bench: Any, cluster: Any, eventually: Callable[..., Any]
) -> None:
    seen = Watched(bench, cluster, eventually, "rolling")
    first, second, third = app("rolling"), app("rolling", **SECOND), app("rolling", dtype="Float16")
    bench.gateways.scores[third] = 40
    async with bench.operator():
        await seen.begin()
        await seen.apply()
        await eventually(lambda: seen.condition("Ready"), ("True", "Ready"))
        assert seen.routed() == first
        await seen.apply(**SECOND)
        await eventually(seen.routed, second)
        assert seen.apps() == {first, second}
        bench.ahead = timedelta(seconds=31)
        await eventually(seen.apps, {second})
        await seen.apply(dtype="Float16")
        await seen.rolled_out("QualityTooLow")
        await eventually(seen.apps, {second})
        assert (seen.routed(), seen.condition("Ready")) == (second, ("True", "Ready"))
        candidate = cluster.get("modeldeployment", "shapes", seen.namespace)["status"]["rollout"]["candidate"]
        assert (candidate["reason"], candidate["score"], candidate["attempts"]) == ("QualityTooLow", 40, 3)
        await seen.apply(**SECOND)
        await seen.rolled_out("Promoted")
        assert seen.apps() == {second}


async def test_recreate_brings_the_old_one_back_and_a_deadline_ends(
    bench: Any, cluster: Any, eventually: Callable[..., Any]
) -> None:
    seen = Watched(bench, cluster, eventually, "scarce")
    first, second = app("scarce"), app("scarce", **SECOND)
    bench.serve.failing.add(second)
    async with bench.operator():
        await seen.begin()
        await seen.apply()
        await eventually(lambda: seen.condition("Ready"), ("True", "Ready"))
        await seen.apply(**SECOND, rollout={"strategy": "Recreate", "progressDeadlineSeconds": 60})
        await eventually(seen.apps, {second})
        assert seen.routed() is None
        bench.ahead = timedelta(seconds=61)
        await seen.rolled_out("DeployFailed")
        await eventually(seen.apps, {first})
        await eventually(seen.routed, first)
        await eventually(lambda: seen.condition("Ready"), ("True", "Ready"))


async def test_killed_at_each_write_it_goes_on(
    bench: Any, cluster: Any, eventually: Callable[..., Any], guillotine: Any, killed: Any
) -> None:
    """Operators that die at their n-th write, before or after it; callers are never sent to what does not run."""
    seen = Watched(bench, cluster, eventually, "killed")
    first, second = app("killed"), app("killed", **SECOND)
    async with bench.operator():
        await seen.begin()
        await seen.apply()
        await eventually(lambda: seen.condition("Ready"), ("True", "Ready"))
    await seen.apply(**SECOND)
    sent: set[str | None] = set()
    for writes in (1, 1, 2, 2, 3, 3):
        with contextlib.suppress(asyncio.CancelledError):
            async with bench.operator(guillotine(at=writes, after=bool(len(sent) % 2))):
                await asyncio.sleep(0.4)
        sent.add(seen.routed())
        assert seen.routed() in seen.apps()
    for after in (False, True):
        await bench.one_look("ModelDeployment", seen.namespace, "shapes", guillotine(at=1, after=after), killed)
        assert seen.routed() in seen.apps()
    async with bench.operator():
        await seen.rolled_out("Promoted")
        await eventually(seen.routed, second)
        await eventually(lambda: seen.condition("Ready"), ("True", "Ready"))
    assert sent <= {first, second}
