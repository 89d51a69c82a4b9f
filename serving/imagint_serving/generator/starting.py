"""Bring a model up inside the replica: load, place, and make a first image, so that ready means ready.

The one module of the Generator that imports torch and diffusers at its top on behalf of `deployment`.
"""

from __future__ import annotations

import logging
import time
from io import BytesIO

from PIL.Image import Image

from imagint_serving.config import GeneratorConfig
from imagint_serving.errors import ModelLoadError, ServingError
from imagint_serving.generator.devices import bound_threads, placement, settle
from imagint_serving.generator.loading import check_place, describe, load
from imagint_serving.generator.pipelines import ImagePipeline, Shape, Wish
from imagint_serving.generator.silence import silence_libraries

WARM_UP = Wish("a red circle on blue", "", 0)
_WARM_UP_STEPS = 2

_log = logging.getLogger("ray.serve.imagint.generator")


def start(config: GeneratorConfig) -> ImagePipeline:
    """Return the model of `config`, warm.

    Raises:
        ModelLoadError: it cannot be loaded, or makes no image.
    """
    began = time.monotonic()
    silence_libraries()
    threads = bound_threads()
    where = placement(config)
    check_place(config.source, config.model_roots)
    pipeline = load(config.source, where.dtype)
    settle(pipeline, where)
    model = ImagePipeline(pipeline, config.model)
    try:
        try_out(model)
    except ServingError as error:
        raise ModelLoadError(f"{describe(config.source)} makes no image: {error}") from None
    _log.info(
        "model %s of %s ready on %s (%s, %d threads) after %.1f s",
        config.model,
        config.tenant,
        where.device,
        where.dtype,
        threads,
        time.monotonic() - began,
    )
    return model


def try_out(model: ImagePipeline) -> None:
    """Make one small image and throw it away.

    Raises:
        ServingError: that failed.
    """
    model.make(Shape(*model.default_size(), steps=_WARM_UP_STEPS), [WARM_UP])


def encode_png(image: Image) -> bytes:
    """Return the image as a PNG that says nothing but its pixels."""
    buffer = BytesIO()
    image.convert("RGB").save(buffer, "PNG")
    return buffer.getvalue()
