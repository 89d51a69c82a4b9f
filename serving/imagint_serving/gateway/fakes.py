"""A small true Generator for tests: solid-colour PNGs, sealed by the same transport as the real one's.

The colour follows from prompt and seed, so that the same request gives the same image. Never used in service.
"""

from __future__ import annotations

import asyncio
import hashlib
import struct
import zlib

from imagint_serving.errors import ModelUnavailableError, RequestRefusedError
from imagint_serving.quality.trials import Trial, Verdict
from imagint_serving.transport import GenerationCall, SealedImage, seal_image

GRID = 8


class FakeGenerators:
    """Generators for the apps it was told of; each can be taken down or held up."""

    def __init__(self, *apps: str) -> None:
        self.apps = set(apps)
        self.calls: list[GenerationCall] = []
        self.trials: list[Trial] = []
        self.right = 1.0
        self.gate = asyncio.Event()
        self.gate.set()

    async def generate(self, app: str, call: GenerationCall, timeout: float) -> list[SealedImage]:  # noqa: ASYNC109
        """Make the images of one call (see `imagint_serving.gateway.generators.Generators`)."""
        if app not in self.apps:
            raise ModelUnavailableError(f"{app}: no such app", after=2)
        if call.width % GRID or call.height % GRID:
            raise RequestRefusedError(f"width and height must be multiples of {GRID}", "size")
        self.calls.append(call)
        async with asyncio.timeout(timeout):
            await self.gate.wait()
        return [
            seal_image(solid_png(call.width, call.height, colour(call.prompt, seed)), call, i)
            for i, seed in enumerate(call.seeds)
        ]

    async def judge(self, app: str, trial: Trial, timeout: float) -> Verdict:  # noqa: ASYNC109
        """Answer as if the share `right` of the pictures were right."""
        if app not in self.apps:
            raise ModelUnavailableError(f"{app}: no such app", after=2)
        self.trials.append(trial)
        async with asyncio.timeout(timeout):
            await self.gate.wait()
        pictures = max(1, len(trial.prompts))
        hashes = tuple(colour(each.prompt, each.seed).hex().rjust(16, "0") for each in trial.prompts)
        return Verdict(pictures, int(pictures * self.right), 32, 32, hashes)


def colour(prompt: str, seed: int) -> bytes:
    """Return the three bytes of colour that belong to a prompt and a seed."""
    return hashlib.sha256(f"{seed}:{prompt}".encode()).digest()[:3]


def solid_png(width: int, height: int, rgb: bytes) -> bytes:
    """Return a PNG of one colour."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = (b"\0" + rgb * width) * height
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, data) for name, data in chunks)


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
