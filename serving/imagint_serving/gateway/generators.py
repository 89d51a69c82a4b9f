"""Asking a Generator for images.

Everything that Ray may raise becomes one of our own errors here, and none of it carries a prompt. Ray itself is
imported only by the adapter, when it is first used.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Protocol

from imagint_serving.errors import ModelUnavailableError, RequestRefusedError, RetryableError
from imagint_serving.quality.trials import Trial, Verdict
from imagint_serving.transport import GenerationCall, SealedImage

GENERATOR = "Generator"


class Generators(Protocol):
    """Every Generator that this tenant has."""

    async def generate(self, app: str, call: GenerationCall, timeout: float) -> list[SealedImage]:  # noqa: ASYNC109
        """Make the images of one call.

        Raises:
            RequestRefusedError: the model cannot do that.
            RetryableError: no Generator answers, or not in time, or it lacks memory now.
        """

    async def judge(self, app: str, trial: Trial, timeout: float) -> Verdict:  # noqa: ASYNC109
        """Have a Generator make the pictures of a trial and judge them where they are.

        Raises:
            RequestRefusedError: the model cannot do that.
            RetryableError: no Generator answers, or not in time, or it lacks memory now.
        """


def _serve_handle(app: str) -> Any:
    from ray import serve

    return serve.get_deployment_handle(GENERATOR, app)


class ServeGenerators:
    """Generators as deployments of the same Ray Serve."""

    def __init__(self, find_handle: Callable[[str], Any] = _serve_handle) -> None:
        self._find_handle = find_handle
        self._handles: dict[str, Any] = {}

    async def generate(self, app: str, call: GenerationCall, timeout: float) -> list[SealedImage]:  # noqa: ASYNC109
        """Make the images of one call (see `Generators`)."""
        images: list[SealedImage] = await self._within(timeout, app, "generate", call)
        return images

    async def judge(self, app: str, trial: Trial, timeout: float) -> Verdict:  # noqa: ASYNC109
        """Make and judge the pictures of a trial (see `Generators`)."""
        verdict: Verdict = await self._within(timeout, app, "judge", trial)
        return verdict

    async def _within(self, seconds: float, app: str, method: str, asked: GenerationCall | Trial) -> Any:
        try:
            async with asyncio.timeout(seconds):
                return await self._ask(app, method, asked)
        except (RequestRefusedError, RetryableError):
            raise
        except TimeoutError:
            raise ModelUnavailableError(f"{app} did not answer within {seconds:g} s", after=5) from None
        except Exception as error:
            # Ray wraps remote failures in many types, with the remote traceback as their text.
            self._handles.pop(app, None)
            raise ModelUnavailableError(f"{app}: {type(error).__name__}", after=2) from None

    async def _ask(self, app: str, method: str, asked: GenerationCall | Trial) -> Any:
        if app not in self._handles:
            # Looks the deployment up with a blocking call.
            self._handles[app] = await asyncio.to_thread(self._find_handle, app)
        response = getattr(self._handles[app], method).remote(asked)
        try:
            return await response
        except asyncio.CancelledError:
            # Nobody waits any more: Serve does not stop the Generator's work by itself.
            response.cancel()
            raise
