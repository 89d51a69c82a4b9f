"""Whatever Ray raises becomes an error of ours, and what nobody waits for is stopped."""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any

import pytest

from imagint_serving.errors import ModelUnavailableError, OutOfMemoryError, RequestRefusedError, ServingError
from imagint_serving.gateway.generators import ServeGenerators
from imagint_serving.transport import GenerationCall, ImageRecipient, SealedImage

CALL = GenerationCall("gen_1", "a secret wish", "", 8, 8, None, None, (1,), ImageRecipient().public_key())
IMAGE = SealedImage(b"sealed", 1, 8, 8, "image/png")


@dataclass
class Response:
    """Stands for Serve's response: awaitable, cancellable."""

    outcome: Exception | list[SealedImage] | None
    cancelled: bool = False

    def __await__(self) -> Generator[Any, None, list[SealedImage]]:
        if self.outcome is None:
            yield from asyncio.sleep(60).__await__()
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome or []

    def cancel(self) -> None:
        self.cancelled = True


@dataclass
class Handle:
    """Stands for Serve's handle: `handle.generate.remote(call)`."""

    response: Response
    found: list[str] = field(default_factory=list)

    @property
    def generate(self) -> Handle:
        return self

    def remote(self, call: GenerationCall) -> Response:
        return self.response

    def find(self, app: str) -> Handle:
        self.found.append(app)
        return self


async def test_a_handle_is_found_once_and_images_come_back() -> None:
    handle = Handle(Response([IMAGE]))
    generators = ServeGenerators(handle.find)
    assert [await generators.generate("app", CALL, 5) for _ in range(2)] == [[IMAGE], [IMAGE]]
    assert handle.found == ["app"]


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        pytest.param(RequestRefusedError("no", "size"), RequestRefusedError, id="a refusal stays one"),
        pytest.param(OutOfMemoryError("full", 3), OutOfMemoryError, id="a lack of memory stays one"),
        pytest.param(RuntimeError("remote: a secret wish"), ModelUnavailableError, id="the rest is an absence"),
        pytest.param(KeyError("app does not exist"), ModelUnavailableError, id="as is an unknown app"),
    ],
)
async def test_errors_of_the_far_side(raised: Exception, expected: type[ServingError]) -> None:
    handle = Handle(Response(raised))
    with pytest.raises(expected) as error:
        await ServeGenerators(handle.find).generate("app", CALL, 5)
    assert "wish" not in str(error.value)
    assert error.value.__cause__ is None


async def test_an_app_that_cannot_be_found_is_looked_for_again() -> None:
    tries: list[str] = []

    def find(app: str) -> Any:
        tries.append(app)
        raise KeyError(app)

    generators = ServeGenerators(find)
    for _ in range(2):
        with pytest.raises(ModelUnavailableError):
            await generators.generate("app", CALL, 5)
    assert len(tries) == 2


async def test_a_generator_that_takes_too_long_is_stopped() -> None:
    handle = Handle(Response(None))
    with pytest.raises(ModelUnavailableError, match=r"did not answer within 0\.05 s"):
        await ServeGenerators(handle.find).generate("app", CALL, 0.05)
    assert handle.response.cancelled


async def test_a_caller_who_leaves_stops_the_work() -> None:
    handle = Handle(Response(None))
    task = asyncio.create_task(ServeGenerators(handle.find).generate("app", CALL, 60))
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert handle.response.cancelled
