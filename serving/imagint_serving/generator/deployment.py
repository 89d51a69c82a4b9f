"""The Generator as a Ray Serve deployment: prompts in, sealed images out.

Every image is sealed for the Gateway that asked before it leaves this process; plaintext is never returned, because
Ray moves and spills results in the clear. Prompts are never logged and never part of an error. Importing this module
must not import torch: Serve's controller and the proxies import it too.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from ray import serve

from imagint_serving.config import GeneratorConfig
from imagint_serving.errors import RequestRefusedError
from imagint_serving.generator.batching import Batcher, Policy
from imagint_serving.transport import MAX_TEXT_BYTES, GenerationCall, SealedImage, seal_image

if TYPE_CHECKING:
    from PIL.Image import Image

    from imagint_serving.generator.pipelines import Shape, Wish
    from imagint_serving.quality.trials import Trial, Verdict

NAME = "Generator"
LARGEST_COUNT = 100
_LEAST_ONGOING, _BATCHES_ONGOING = 16, 4


def build(config: GeneratorConfig) -> serve.Application:
    """Return the Serve app of one model; the operator decides replicas and resources in the Serve config."""
    ongoing = max(_LEAST_ONGOING, _BATCHES_ONGOING * config.batching.max_size)
    deployment = serve.deployment(Generator).options(name=NAME, max_ongoing_requests=ongoing)
    return deployment.bind(config)


class Generator:
    """One replica: a model in memory and a queue in front of it."""

    def __init__(self, config: GeneratorConfig) -> None:
        from imagint_serving.generator.starting import start

        self._model = start(config)
        policy = Policy(config.batching.max_size, config.batching.wait_ms / 1000)
        # One thread: the model is never entered twice at a time.
        self._executor = ThreadPoolExecutor(1, "model")
        self._batcher: Batcher[Shape, Wish, Image] = Batcher(self._model.make, policy, self._executor)

    async def generate(self, call: GenerationCall) -> list[SealedImage]:
        """Make one image a seed and return them sealed, in the order of the seeds.

        Raises:
            RequestRefusedError: this model cannot do what the call asks.
            OutOfMemoryError: there is no memory for even one such image now.
            ModelUnavailableError: the model failed.
            TransportError: the call names no usable recipient.
        """
        from imagint_serving.generator.pipelines import Shape, Wish

        _check_bounds(call)
        shape = Shape(call.width, call.height, call.steps, call.guidance, bool(call.negative_prompt))
        self._model.check(shape)
        wishes = [Wish(call.prompt, call.negative_prompt, seed) for seed in call.seeds]
        images = await self._batcher.submit(shape, wishes)
        return await asyncio.to_thread(_sealed, images, call)

    async def judge(self, trial: Trial) -> Verdict:
        """Make the pictures of a trial on the way that callers' take, and judge them here: none leaves this process.

        Raises:
            ServingError: as for `generate`.
        """
        from imagint_serving.quality.judging import asked, judged

        wanted = asked(trial, self._model.default_size())
        for shape, _ in wanted:
            self._model.check(shape)
        made = await asyncio.gather(*(self._batcher.submit(shape, [wish]) for shape, wish in wanted))
        return await asyncio.to_thread(judged, trial, [picture for (picture,) in made])

    async def probe(self) -> dict[str, Any]:
        """Make one small image and say how long it took.

        Raises:
            ServingError: that failed.
        """
        from imagint_serving.generator.starting import try_out

        began = time.monotonic()
        await asyncio.get_running_loop().run_in_executor(self._executor, try_out, self._model)
        width, height = self._model.default_size()
        return {"ok": True, "seconds": round(time.monotonic() - began, 3), "default_size": f"{width}x{height}"}


def _check_bounds(call: GenerationCall) -> None:
    """Refuse what no model of ours takes.

    Raises:
        RequestRefusedError: too many images, too long a text, or a seed out of range.
    """
    if not 1 <= len(call.seeds) <= LARGEST_COUNT:
        raise RequestRefusedError(f"a call makes 1 to {LARGEST_COUNT} images", "n")
    if any(not 0 <= seed < 2**63 for seed in call.seeds):
        raise RequestRefusedError("a seed is from 0 to 2^63 - 1", "seed")
    # A lone surrogate must not raise here: UnicodeEncodeError carries the whole text.
    text = (call.prompt + call.negative_prompt).encode(errors="surrogatepass")
    if len(text) > MAX_TEXT_BYTES:
        raise RequestRefusedError(f"prompts together hold at most {MAX_TEXT_BYTES} bytes", "prompt")


def _sealed(images: Sequence[Image], call: GenerationCall) -> list[SealedImage]:
    from imagint_serving.generator.starting import encode_png

    return [seal_image(encode_png(image), call, index) for index, image in enumerate(images)]
