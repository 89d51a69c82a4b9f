from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from imagint_serving.models import bundled, bundled_names
from imagint_serving.shapes.choices import complete
from imagint_serving.shapes.pipeline import ShapesPipeline
from imagint_serving.shapes.score import GATE, score_pipeline
from imagint_serving.shapes.vocabulary import NULL_ID, TOKENS

PROMPTS = ["a red circle on blue", "a green triangle on white", "a black square on yellow"]
ONE_LEVEL = 1 / 255
"""Batches of another size add up floats in another order; a rounded pixel may differ by one level."""


@pytest.fixture(scope="module")
def shapes() -> ShapesPipeline:
    torch.set_num_threads(1)
    pipeline = ShapesPipeline.from_pretrained(bundled("shapes"), low_cpu_mem_usage=False)
    pipeline.set_progress_bar_config(disable=True)
    assert isinstance(pipeline, ShapesPipeline)
    return pipeline


def seeded(*seeds: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def arrays(pipeline: ShapesPipeline, prompt: str | list[str], **given: Any) -> np.ndarray:
    images = pipeline(prompt, output_type="np", return_dict=False, **given)[0]
    assert isinstance(images, np.ndarray)
    return images


def test_the_committed_weights_pass_the_gate(shapes: ShapesPipeline) -> None:
    assert score_pipeline(shapes, seed=11).everything >= GATE


def test_the_committed_weights_are_small_and_finite() -> None:
    files = list(bundled("shapes").rglob("*.safetensors"))
    tensors = [tensor for path in files for tensor in load_file(path).values()]
    assert sum(path.stat().st_size for path in files) < 5_000_000
    assert all(tensor.isfinite().all() for tensor in tensors)
    assert bundled_names() == ["shapes"]


def test_a_seed_makes_the_same_picture_alone_and_in_any_batch(shapes: ShapesPipeline) -> None:
    together = arrays(shapes, PROMPTS, generator=seeded(7, 8, 9))
    for place, (prompt, seed) in enumerate(zip(PROMPTS, (7, 8, 9), strict=True)):
        alone = arrays(shapes, prompt, generator=seeded(seed))[0]
        assert np.abs(alone - together[place]).max() <= ONE_LEVEL


def test_another_seed_makes_another_picture(shapes: ShapesPipeline) -> None:
    one, two = arrays(shapes, [PROMPTS[0]] * 2, generator=seeded(1, 2))
    assert np.abs(one - two).max() > 0.2


@pytest.mark.parametrize("side", [32, 64, 256])
def test_larger_sizes_are_the_same_picture_enlarged(shapes: ShapesPipeline, side: int) -> None:
    native, image = (
        shapes(PROMPTS[0], generator=seeded(5), width=each, height=each, return_dict=False)[0][0] for each in (32, side)
    )
    assert image.size == (side, side)
    reduced = np.asarray(image.resize((32, 32), Image.Resampling.BOX), dtype=float)
    assert np.abs(reduced - np.asarray(native, dtype=float)).mean() < 4


def test_a_negative_prompt_steers_away(shapes: ShapesPipeline) -> None:
    reds = []
    for negative in (None, "red"):
        given = {"num_images_per_prompt": 12, "num_inference_steps": 8, "generator": seeded(*range(12))}
        images = arrays(shapes, "a circle on white", negative_prompt=negative, guidance_scale=6.0, **given)
        reds.append(images[:, 16, 16, 0].sum() - images[:, 16, 16, 1:].mean(1).sum())
    assert reds[1] < reds[0]


def test_what_a_prompt_leaves_open_is_chosen_by_the_seed(shapes: ShapesPipeline) -> None:
    seeds = range(40, 46)
    images = arrays(shapes, ["a triangle"] * 6, generator=seeded(*seeds))
    alone = arrays(shapes, "a triangle", generator=seeded(43))[0]
    assert np.abs(alone - images[3]).max() <= ONE_LEVEL
    middles = {tuple(np.round(image[18, 16]).astype(int)) for image in images}
    assert len(middles) > 1


def test_what_a_prompt_says_is_never_changed() -> None:
    said = torch.tensor([[0, 7, 12], [NULL_ID, 7, 12], [0, NULL_ID, NULL_ID]])
    filled = complete(said, seeded(1, 2, 3))
    assert filled[0].tolist() == [0, 7, 12]
    assert torch.equal(filled[said != NULL_ID], said[said != NULL_ID])
    assert (filled != NULL_ID).all()
    assert (filled[:, 0] != filled[:, 2] - 9).all()


def test_steps_are_reported_and_may_be_changed(shapes: ShapesPipeline) -> None:
    seen: list[int] = []

    def watch(_: object, step: int, __: object, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        seen.append(step)
        assert tensors["latents"].shape == (1, 12, 16, 16)
        return {"latents": torch.zeros_like(tensors["latents"])} if step == 2 else {}

    image = arrays(shapes, PROMPTS[0], num_inference_steps=3, callback_on_step_end=watch)[0]
    assert seen == [0, 1, 2]
    assert np.allclose(image, 0.5)


@pytest.mark.parametrize(
    "call",
    [
        pytest.param({"width": 40, "height": 40}, id="a side that is no multiple"),
        pytest.param({"width": 64, "height": 32}, id="not a square"),
        pytest.param({"width": 2048, "height": 2048}, id="too large"),
        pytest.param({"num_inference_steps": 0}, id="no steps"),
        pytest.param({"guidance_scale": float("nan")}, id="guidance that is no number"),
        pytest.param({"output_type": "gif"}, id="an unknown output type"),
        pytest.param({"generator": seeded(1, 2)}, id="more generators than images"),
        pytest.param({"negative_prompt": ["red", "blue"]}, id="more negative prompts than images"),
    ],
)
def test_the_pipeline_refuses(shapes: ShapesPipeline, call: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        shapes(PROMPTS[0], **call)


def test_a_prompt_that_spells_a_token_is_an_ordinary_prompt(shapes: ShapesPipeline) -> None:
    ids: Callable[[str], list[int]] = lambda text: list(shapes.tokenizer(text).input_ids)  # noqa: E731
    assert ids("a red <null> circle on-blue <null>") == ids("a red circle on blue")
    assert ids("<null>") == [NULL_ID] * 3
    assert shapes.tokenizer.get_vocab() == {token: index for index, token in enumerate(TOKENS)}


def test_what_was_understood_is_told(shapes: ShapesPipeline) -> None:
    assert shapes.tokenizer.understand("ruby box").shape == "square"
