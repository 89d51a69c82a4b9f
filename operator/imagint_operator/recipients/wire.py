"""Tells recipients over HTTP and reads their answers. Every wait and every answer is bounded; no redirect is followed.

One that fails never stands in the way of another: its failure is an answer like any other. Nothing of an answer but
its digest and its state is kept, and nothing of it is ever logged.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

import httpx

from imagint_operator.api.processors import DataProcessor, ErasureChannel, ErasureProtocol
from imagint_operator.api.requests import ProcessorProgress
from imagint_operator.fences import Fence, unfenced
from imagint_operator.keyrings import translated
from imagint_operator.recipients import plan, protocols
from imagint_operator.recipients.plan import Answer, Ask
from imagint_operator.recipients.protocols import Asking, Reply
from imagint_operator.telemetry.calls import Calls
from imagint_operator.times import Clock
from imagint_privacy import errors as privacy
from imagint_privacy.keys.ports import Signer

SECONDS = 10.0
MOST_BYTES = 65_536
FIRST_PAUSE = 1.0
LAST_PAUSE = 3600.0
MOST_AT_ONCE = 8
_JSON = {"Content-Type": "application/json", "Accept": "application/json"}


class _TooLongError(Exception):
    """An answer is longer than any receipt."""


class Recipients:
    """Tells recipients. Remembers only when to ask each again, so that nobody is asked in a hurry."""

    def __init__(self, signer: Signer, clock: Clock, fence: Fence | None = None, calls: Calls | None = None) -> None:
        self._signer = signer
        self._clock = clock
        self._fence = fence or unfenced()
        self._calls = calls or Calls()
        limits = httpx.Timeout(SECONDS, connect=2.0)
        self._client = httpx.AsyncClient(timeout=limits, trust_env=False, follow_redirects=False)
        self._pauses: dict[tuple[str, str], tuple[datetime, float]] = {}
        self._slots = asyncio.Semaphore(MOST_AT_ONCE)

    async def close(self) -> None:
        """Give the connections back."""
        await self._client.aclose()

    async def round(
        self, asking: Asking, processors: Iterable[DataProcessor], recorded: Iterable[ProcessorProgress]
    ) -> tuple[tuple[ProcessorProgress, ...], float | None]:
        """Ask everybody whose turn it is; answers the records and after how many seconds to come back, if at all."""
        known = {processor.name: processor for processor in processors}
        concerned = plan.concerned(known.values(), asking.tenant, asking.categories)
        entries = plan.enrolled(recorded, concerned, self._clock(), asking.due_by)
        after = await asyncio.gather(*(self._advance(asking, known.get(entry.name), entry) for entry in entries))
        return tuple(after), self._wait(asking, after)

    async def _advance(
        self, asking: Asking, processor: DataProcessor | None, entry: ProcessorProgress
    ) -> ProcessorProgress:
        now, key = self._clock(), (asking.uid, entry.name)
        what, (moment, pause) = plan.ask(entry, now), self._pauses.get(key, (now, FIRST_PAUSE))
        if what is not None and processor is not None and now >= moment:
            answer = await self._ask(asking, processor, what)
            entry = plan.answered(entry, answer, self._clock())
            self._pauses[key] = (now + timedelta(seconds=pause), min(LAST_PAUSE, pause * 2))
        entry = plan.timed(entry, self._clock())
        if entry.state in plan.FINAL:
            self._pauses.pop(key, None)
        return entry

    def _wait(self, asking: Asking, entries: Iterable[ProcessorProgress]) -> float | None:
        open_ = [entry for entry in entries if entry.state not in plan.FINAL]
        if not open_:
            return None
        now = self._clock()
        moments = [min(entry.by, self._pauses.get((asking.uid, entry.name), (entry.by, 0.0))[0]) for entry in open_]
        return max(0.2, (min(moments) - now).total_seconds())

    async def _ask(self, asking: Asking, processor: DataProcessor, what: Ask) -> Answer:
        channel = processor.spec.erasure
        try:
            async with self._slots, asyncio.timeout(2 * SECONDS):
                if channel.protocol is ErasureProtocol.OPEN_DSR:
                    return await self._opendsr(asking, processor.name, channel, what)
                return await self._webhook(asking, processor.name, channel)
        except privacy.PrivacyError as error:
            return Answer(detail=translated(error).reason)
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, OSError) as error:
            return Answer(detail=type(error).__name__)
        except _TooLongError:
            return Answer(detail="ReceiptTooLong")

    async def _opendsr(self, asking: Asking, name: str, channel: ErasureChannel, what: Ask) -> Answer:
        base, expected = (channel.url or "").rstrip("/"), protocols.request_id(asking, name)
        if what is Ask.TELL:
            reply = await self._send("POST", f"{base}/requests", _JSON, protocols.opendsr(asking, name))
            return protocols.opendsr_told(reply)
        reply = await self._send("GET", f"{base}/requests/{expected}", _JSON)
        if channel.public_key and not protocols.opendsr_signed(reply, channel.public_key):
            return Answer(detail=f"Status{reply.status}" if reply.status != 200 else "ReceiptNotSigned")
        return protocols.opendsr_status(reply, expected)

    async def _webhook(self, asking: Asking, name: str, channel: ErasureChannel) -> Answer:
        """Deliver, or deliver again: the receiver answers the same id with how far it is by now."""
        message, body, now = protocols.request_id(asking, name), protocols.webhook(asking, name), self._clock()
        content = protocols.signed_content(message, now, body)
        with self._calls.vault("sign"):
            signature = await asyncio.to_thread(self._signer.sign, content)
        headers = {**_JSON, **protocols.webhook_headers(message, now, signature)}
        reply = await self._send("POST", channel.url or "", headers, body)
        refused = not 200 <= reply.status < 300
        if channel.public_key and not protocols.webhook_signed(reply, channel.public_key, message, self._clock()):
            return Answer(detail=f"Status{reply.status}" if refused else "ReceiptNotSigned")
        return protocols.webhook_receipt(reply)

    async def _send(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None = None) -> Reply:
        if method != "GET":
            self._fence.check()
        with self._calls.recipient(method) as call:
            async with self._client.stream(method, url, headers=headers, content=body) as response:
                call.status = response.status_code
                parts: list[bytes] = []
                size = 0
                async for part in response.aiter_bytes():
                    size += len(part)
                    if size > MOST_BYTES:
                        raise _TooLongError
                    parts.append(part)
                return Reply(response.status_code, dict(response.headers), b"".join(parts))
