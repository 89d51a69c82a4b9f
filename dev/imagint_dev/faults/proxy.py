"""A proxy in front of each peer of an operator, which lets requests through unless the script says otherwise.

TLS towards the apiserver, plain HTTP on this machine towards the operator. Keeps a journal of what was asked: method
and path, never a body. It runs in a thread with an event loop of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import aiohttp
from aiohttp import web
from yarl import URL

from imagint_dev.faults.rules import Asked, Cut, Delay, Drop, Freeze, Kill, Lose, Refuse, Rule, Script, Stale

LOOK_SECONDS = 0.05
HOP = frozenset({"host", "connection", "transfer-encoding", "content-length", "keep-alive", "accept-encoding"})
_NO_LIMIT = aiohttp.ClientTimeout(total=None, connect=5)


@dataclass(frozen=True, slots=True)
class Entry:
    """One request that was passed on, when it was, and what came of it."""

    at: float
    asked: Asked
    status: int


@dataclass(frozen=True, slots=True)
class Peer:
    """Whom a proxy stands in front of."""

    name: str
    url: str
    context: ssl.SSLContext | None = None


class Proxies:
    """One listening port for each peer; one script and one journal for all."""

    def __init__(self, peers: Mapping[str, Peer], script: Script | None = None) -> None:
        self.script = script or Script()
        self.journal: list[Entry] = []
        self.urls: dict[str, str] = {}
        self._peers = peers
        self._old: dict[str, bytes] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="faults", daemon=True)
        self._session: aiohttp.ClientSession
        self._runners: list[web.AppRunner] = []

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._open(), self._loop).result(10)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    def writes(self, since: int = 0) -> list[Entry]:
        """The writes that were passed on, in their order, from a place in the journal on."""
        return [entry for entry in self.journal[since:] if entry.asked.writes]

    def remember(self) -> None:
        """From now on `Stale` answers with what is read next."""
        self._old.clear()

    async def _open(self) -> None:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0), timeout=_NO_LIMIT, auto_decompress=False, trust_env=False
        )
        for name, peer in self._peers.items():
            application = web.Application(client_max_size=64 * 1024 * 1024)
            application.router.add_route("*", "/{path:.*}", _Front(self, peer).serve)
            runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
            await runner.setup()
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            self._runners.append(runner)
            self.urls[name] = f"http://127.0.0.1:{runner.addresses[0][1]}"

    async def _close(self) -> None:
        for runner in self._runners:
            await runner.cleanup()
        await self._session.close()
        left = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    def old(self, key: str, body: bytes) -> bytes:
        """What a list, or the Lease, answered first."""
        return self._old.setdefault(key, body)

    def pass_on(self, peer: Peer, request: web.Request, body: bytes) -> Any:
        """Ask the peer itself."""
        headers = {name: value for name, value in request.headers.items() if name.lower() not in HOP}
        url = peer.url.rstrip("/") + request.path_qs
        context = peer.context if peer.context is not None else True
        return self._session.request(
            request.method, URL(url, encoded=True), headers=headers, data=body or None, ssl=context
        )


class _Front:
    """What stands in front of one peer."""

    def __init__(self, proxies: Proxies, peer: Peer) -> None:
        self._proxies = proxies
        self._peer = peer

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """One request; who asked, or who is asked, may vanish at any moment."""
        try:
            return await self._serve(request)
        except (aiohttp.ClientError, ConnectionError):
            return _hang_up(request)

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        asked = Asked(self._peer.name, request.method, request.path, dict(request.query))
        body = await request.read()
        rule = self._proxies.script.decide(asked)
        fault = rule.fault if rule is not None else None
        if isinstance(fault, Delay):
            await asyncio.sleep(fault.seconds)
        if isinstance(fault, Kill) and not fault.after:
            return await self._kill(request, fault)
        if isinstance(fault, Lose) and not fault.after:
            return _hang_up(request)
        if isinstance(fault, Refuse) and not fault.after:
            return _refused(fault)
        async with self._proxies.pass_on(self._peer, request, body) as answer:
            self._proxies.journal.append(Entry(time.monotonic(), asked, answer.status))
            if asked.watches and answer.status == web.HTTPOk.status_code:
                return await self._watch(request, answer, rule)
            raw = await answer.read()
        return await self._answer(request, asked, answer, raw, fault)

    async def _answer(
        self, request: web.Request, asked: Asked, answer: Any, raw: bytes, fault: Any
    ) -> web.StreamResponse:
        """What was answered, or what the fault makes of it."""
        if isinstance(fault, Kill):
            return await self._kill(request, fault)
        if isinstance(fault, Lose):
            return _hang_up(request)
        if isinstance(fault, Refuse):
            return _refused(fault)
        if asked.repeatable and answer.status == web.HTTPOk.status_code:
            old = self._proxies.old(request.path, raw)
            raw = old if isinstance(fault, Stale) else raw
        headers = {name: value for name, value in answer.headers.items() if name.lower() not in HOP}
        return web.Response(status=answer.status, body=raw, headers=headers)

    async def _kill(self, request: web.Request, fault: Kill) -> web.StreamResponse:
        await asyncio.to_thread(fault.now)
        return _hang_up(request)

    async def _watch(self, request: web.Request, answer: Any, rule: Rule | None) -> web.StreamResponse:
        """Lines of a watch, event by event."""
        fault = rule.fault if rule is not None else None
        response = web.StreamResponse(status=answer.status, headers={"Content-Type": "application/json"})
        with contextlib.suppress(aiohttp.ClientError, ConnectionError):
            await response.prepare(request)
            passed, rest = 0, b""
            async for chunk in answer.content.iter_any():
                await self._thawed(rule)
                *whole, rest = (rest + chunk).split(b"\n")
                for line in whole:
                    if isinstance(fault, Drop) and rule is not None and rule.drops(_type(line)):
                        continue
                    await response.write(line + b"\n")
                    passed += 1
                    if isinstance(fault, Cut) and passed >= fault.events:
                        return _hang_up(request)
            await self._thawed(rule)
            await response.write_eof()
        return response

    async def _thawed(self, rule: Rule | None) -> None:
        if rule is None or not isinstance(rule.fault, Freeze):
            return
        while self._proxies.script.holds(rule):  # noqa: ASYNC110 - rules are taken away in another thread
            await asyncio.sleep(LOOK_SECONDS)


def _type(line: bytes) -> str:
    with contextlib.suppress(ValueError):
        return str(json.loads(line).get("type"))
    return ""


def _refused(fault: Refuse) -> web.Response:
    headers = {"Retry-After": str(fault.retry_after)} if fault.retry_after is not None else {}
    return web.json_response(fault.body(), status=fault.status, headers=headers)


def _hang_up(request: web.Request) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return web.Response()
