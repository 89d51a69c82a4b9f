"""What is known to go wrong with Kopf, what is done about it, and where that is shown.

- a watch freezes in silence (fixed in 1.44 for Python >= 3.11).
  Versions pinned, `inactivity_timeout`, both timeouts.
  → `test_every_wait_is_bounded`
- a watch ends and is not begun again (#1276).
  `health.py` ends the process.
  → `test_health.py`
- a 403 at the start ends one watch, the probe stays green (#1077).
  The same, once the right is there.
  → `test_health.py`
- LIST without pages, no selector.
  Own kinds only; children by reflectors, in pages, with a selector.
  → `test_only_our_own_kinds_are_watched`
- a `worker_limit` below the number of objects deadlocks.
  None; no indexes.
  → `test_workers_are_not_limited`
- the spec is copied into an annotation, progress and exceptions into the object.
  Only `on.event`, which writes nothing.
  → `test_no_handler_makes_kopf_write`
- merge-patch replaces the list of conditions.
  Server-side apply of our own (`kube/client.py`).
  → `test_no_handler_makes_kopf_write`
- waits 5 s for its own patch, then may run twice.
  It never patches; a window of 0.
  → `test_kopf_waits_for_no_patch`
- peering: wall clocks, no lock, objects of its own.
  Standalone; a Lease of our own (`leases.py`).
  → `test_leases.py`, `test_kopf_starts_alone`
- retries without end, no handler timeout, request timeout 300 s.
  Our own queue backs off; all are set.
  → `test_every_wait_is_bounded`
- logs become Events, with types that do not exist.
  Posting is off; `kube/events.py`.
  → `test_nothing_is_posted`
- debug logs hold whole bodies.
  Its loggers are fixed at WARNING, whatever the root says.
  → `test_debug_prints_no_body`
- a handler's exception ends in the log with its text.
  No handler raises.
  → `test_a_handler_that_is_handed_nonsense_raises_nothing`
- a task and a queue for each listed object.
  They end after half a second.
  → `test_workers_are_not_limited`
- a token that is read once.
  Read for every request, through a session of our own.
  → `test_the_token_is_read_for_every_request`
"""

from __future__ import annotations

import asyncio
import inspect
import io
import logging
from pathlib import Path
from typing import Any

import kopf
import pytest
from aiohttp import web

from imagint_operator import watchers
from imagint_operator.__main__ import configure_logging
from imagint_operator.kube.connections import Connection
from imagint_operator.kube.resources import WATCHED
from imagint_operator.watchages import Ages
from imagint_operator.watchers import Watcher


@pytest.fixture
def watcher() -> Watcher:
    return Watcher(Connection("http://127.0.0.1:9", None, None, "t"))


@pytest.fixture
def settings() -> kopf.OperatorSettings:
    return watchers._settings()


def test_every_wait_is_bounded(settings: kopf.OperatorSettings) -> None:
    watching, networking = settings.watching, settings.networking
    bounds = {
        watching.server_timeout, watching.client_timeout, watching.connect_timeout, watching.inactivity_timeout,
        networking.request_timeout, networking.connect_timeout, settings.queueing.exit_timeout,
    }  # fmt: skip
    assert None not in bounds
    assert max(bound for bound in bounds if bound is not None) <= 150
    assert networking.error_backoffs == (0.2, 0.5, 1, 2)


def test_workers_are_not_limited(settings: kopf.OperatorSettings, watcher: Watcher) -> None:
    assert settings.queueing.worker_limit is None
    assert settings.queueing.idle_timeout <= 1
    assert not watcher._registry()._indexing.get_all_handlers()


def test_kopf_waits_for_no_patch(settings: kopf.OperatorSettings) -> None:
    assert settings.persistence.consistency_timeout == 0


def test_nothing_is_posted(settings: kopf.OperatorSettings) -> None:
    assert settings.posting.enabled is False


def test_kopf_starts_alone() -> None:
    source = inspect.getsource(Watcher._watch)
    assert "standalone=True" in source
    assert "peering" not in source


def test_no_handler_makes_kopf_write(watcher: Watcher) -> None:
    """Handlers of changes, daemons, timers and webhooks would bring annotations, finalizers and progress."""
    registry = watcher._registry()
    others = (registry._indexing, registry._changing, registry._spawning, registry._webhooks)
    assert not [handler for kind in others for handler in kind.get_all_handlers()]
    assert len(registry._watching.get_all_handlers()) == len(WATCHED)


def test_only_our_own_kinds_are_watched(watcher: Watcher) -> None:
    selectors = [handler.selector for handler in watcher._registry()._watching.get_all_handlers()]
    assert {selector.group for selector in selectors if selector is not None} == {"imagint.ai"}


async def test_a_handler_that_is_handed_nonsense_raises_nothing(watcher: Watcher) -> None:
    await watcher._handler(WATCHED[0])(
        name=None, namespace=None, event={"type": None, "object": {"metadata": {}}}, meta={}
    )


def test_debug_prints_no_body() -> None:
    """Even when somebody sets the root to DEBUG, and whatever name below `kopf` speaks."""
    seen = io.StringIO()
    handler = logging.StreamHandler(seen)
    root, before = logging.getLogger(), logging.getLogger().level
    root.addHandler(handler)
    try:
        configure_logging()
        root.setLevel(logging.DEBUG)
        for name in (
            "kopf",
            "kopf.objects",
            "kopf._core.reactor.queueing",
            "kopf._cogs.clients.api",
            "httpx",
            "urllib3",
        ):
            logging.getLogger(name).debug("body: ada@example.com")
            logging.getLogger(name).info("body: ada@example.com")
    finally:
        root.removeHandler(handler)
        root.setLevel(before)
    assert "ada" not in seen.getvalue()


async def test_the_token_is_read_for_every_request(tmp_path: Path) -> None:
    seen: list[str | None] = []

    async def answer(request: web.Request) -> web.Response:
        seen.append(request.headers.get("Authorization"))
        return web.json_response({})

    application = web.Application()
    application.router.add_get("/apis/imagint.ai/v1alpha1/tenants", answer)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    token = tmp_path / "token"
    ages = Ages(["tenants"], clock := Ticking())
    watcher = Watcher(Connection(f"http://127.0.0.1:{port}", None, token, None), ages=ages)
    context: Any = await watcher._login()
    for text in ("one", "two"):
        token.write_text(text)
        clock.now += 100
        async with context.aiohttp_session.get(f"http://127.0.0.1:{port}/apis/imagint.ai/v1alpha1/tenants"):
            assert ages.age("tenants") == 0  # every answer tells that the watch lives
    await context.aiohttp_session.close()
    await runner.cleanup()
    await asyncio.sleep(0)
    assert seen == ["Bearer one", "Bearer two"]


class Ticking:
    """A clock that a test sets."""

    now = 0.0

    def __call__(self) -> float:
        return self.now
