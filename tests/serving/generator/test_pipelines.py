from __future__ import annotations

import logging
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from imagint_serving.config import PathSource
from imagint_serving.errors import ModelLoadError, ModelUnavailableError, OutOfMemoryError, RequestRefusedError
from imagint_serving.generator.loading import load
from imagint_serving.generator.pipelines import ImagePipeline, Shape, Wish
from imagint_serving.generator.silence import silence_libraries

SECRET = "alice walks her purple dog in geneva"
SMALL = Shape(16, 16, steps=2)


@pytest.fixture(scope="module")
def tiny(tiny_repository: Path) -> ImagePipeline:
    pipeline = load(PathSource(type="Path", path=str(tiny_repository)), torch.float32)
    return ImagePipeline(pipeline, "tiny")


class Painter:
    """A pipeline that paints grey squares, and has room for only so many at a time."""

    def __init__(self, room: int = 100, fault: Exception | None = None) -> None:
        self.room = room
        self.fault = fault
        self.batches: list[int] = []

    def __call__(self, prompt: list[str], generator: list[torch.Generator], output_type: str = "pil") -> Any:
        if self.fault is not None:
            raise self.fault
        if len(prompt) > self.room:
            raise torch.OutOfMemoryError(f"no room for {prompt}")
        self.batches.append(len(prompt))
        assert output_type == "pil"
        return SimpleNamespace(images=[Image.new("RGB", (64, 64), (each.initial_seed(),) * 3) for each in generator])


def wishes(*seeds: int, prompt: str = SECRET) -> list[Wish]:
    return [Wish(prompt, "", seed) for seed in seeds]


def test_any_diffusers_pipeline_makes_images(tiny: ImagePipeline) -> None:
    assert tiny.default_size() == (16, 16)
    images = tiny.make(Shape(32, 16, steps=2, guidance=3.0), wishes(1, 2))
    assert [image.size for image in images] == [(32, 16), (32, 16)]


def test_a_seed_makes_the_same_picture_alone_and_in_a_batch_of_other_prompts(tiny: ImagePipeline) -> None:
    together = tiny.make(SMALL, [*wishes(1, prompt="one"), *wishes(2, prompt="two"), *wishes(3, prompt="three")])
    alone = tiny.make(SMALL, wishes(2, prompt="two"))[0]
    difference = np.abs(np.asarray(alone, dtype=int) - np.asarray(together[1], dtype=int))
    assert difference.max() <= 1


def test_negative_prompts_belong_to_their_own_image(tiny: ImagePipeline) -> None:
    shape = Shape(16, 16, steps=2, guidance=9.0, negative=True)
    pair = tiny.make(shape, [Wish("one", "", 1), Wish("one", "two", 1)])
    alone = tiny.make(shape, [Wish("one", "two", 1)])[0]
    assert np.abs(np.asarray(pair[1], dtype=int) - np.asarray(alone, dtype=int)).max() <= 1
    assert np.asarray(pair[0]).tolist() != np.asarray(pair[1]).tolist()


@pytest.mark.parametrize(
    ("shape", "param"),
    [
        pytest.param(Shape(17, 16), "size", id="a side the autoencoder cannot make"),
        pytest.param(Shape(0, 16), "size", id="no width"),
        pytest.param(Shape(16, 100_000), "size", id="an enormous side"),
        pytest.param(Shape(16, 16, steps=0), "num_inference_steps", id="no steps"),
        pytest.param(Shape(16, 16, steps=1001), "num_inference_steps", id="more steps than it was trained on"),
        pytest.param(Shape(16, 16, guidance=math.nan), "guidance_scale", id="guidance that is no number"),
        pytest.param(Shape(16, 16, guidance=-1.0), "guidance_scale", id="guidance below zero"),
        pytest.param(Shape(16, 16, guidance=math.inf), "guidance_scale", id="infinite guidance"),
        pytest.param(
            Shape(16, 16, guidance=1.0, negative=True), "negative_prompt", id="a negative prompt without effect"
        ),
    ],
)
def test_impossible_shapes_name_the_parameter_to_change(tiny: ImagePipeline, shape: Shape, param: str) -> None:
    with pytest.raises(RequestRefusedError) as refusal:
        tiny.check(shape)
    assert refusal.value.param == param


@pytest.mark.parametrize(
    ("shape", "param"),
    [
        pytest.param(Shape(32, 32), "size", id="a size of its own"),
        pytest.param(Shape(64, 64, steps=4), "num_inference_steps", id="steps"),
        pytest.param(Shape(64, 64, guidance=4.0), "guidance_scale", id="guidance"),
        pytest.param(Shape(64, 64, negative=True), "negative_prompt", id="a negative prompt"),
    ],
)
def test_what_a_plain_pipeline_does_not_take_is_refused_not_ignored(shape: Shape, param: str) -> None:
    painter = ImagePipeline(Painter(), "painter")
    painter.check(Shape(64, 64))
    with pytest.raises(RequestRefusedError) as refusal:
        painter.check(shape)
    assert refusal.value.param == param


def test_a_batch_that_does_not_fit_is_made_in_smaller_ones() -> None:
    painter = Painter(room=3)
    images = ImagePipeline(painter, "painter").make(Shape(64, 64), wishes(*range(7)))
    assert [image.getpixel((0, 0)) for image in images] == [(seed,) * 3 for seed in range(7)]
    assert painter.batches == [3, 2, 2]


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        pytest.param(torch.OutOfMemoryError(SECRET), OutOfMemoryError, id="not even one image fits on the GPU"),
        pytest.param(RuntimeError(f"can't allocate memory for {SECRET}"), OutOfMemoryError, id="nor in the machine"),
        pytest.param(ValueError(SECRET), RequestRefusedError, id="the pipeline has a rule of its own"),
        pytest.param(KeyError(SECRET), ModelUnavailableError, id="the pipeline fails"),
    ],
)
def test_no_error_repeats_the_prompt(fault: Exception, expected: type[Exception]) -> None:
    pipeline = ImagePipeline(Painter(fault=fault), "painter")
    with pytest.raises(expected) as failure:
        pipeline.make(Shape(64, 64), wishes(1))
    assert SECRET not in repr(failure.value)
    assert failure.value.__context__ is None
    assert SECRET not in repr(wishes(1))


def test_an_image_of_another_size_is_never_passed_off() -> None:
    with pytest.raises(RequestRefusedError, match="size"):
        ImagePipeline(Painter(), "painter").make(Shape(32, 32), wishes(1))


def test_a_pipeline_that_needs_a_picture_is_refused_at_load() -> None:
    def repaint(prompt: str, image: object, generator: object = None) -> None: ...

    with pytest.raises(ModelLoadError, match="from text alone"):
        ImagePipeline(repaint, "painter")


def test_a_prompt_that_the_text_encoder_cuts_off_reaches_no_log(
    tiny: ImagePipeline, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    silence_libraries()
    with caplog.at_level(logging.DEBUG):
        tiny.make(SMALL, wishes(1, prompt=f"x {SECRET}"))
    captured = capfd.readouterr()
    assert "geneva" not in captured.out + captured.err + caplog.text
    assert "dog" not in captured.out + captured.err + caplog.text
