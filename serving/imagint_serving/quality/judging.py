"""Turn a trial into pictures to be made, and judge them. Pure; runs where the pictures are, beside the model."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from PIL.Image import Image

from imagint_serving.generator.pipelines import Shape, Wish
from imagint_serving.quality.hashes import distance, is_blank, perceptual_hash
from imagint_serving.quality.trials import Trial, TrialKind, TrialPrompt, Verdict
from imagint_serving.shapes.drawings import SIDE, Scenes, every_scene, sentences
from imagint_serving.shapes.scoring import score

PLAIN = TrialPrompt("a red circle on blue")
SCENE_STEP = 7
"""Of the ninety scenes every seventh is asked for: all shapes and all colours, in two seconds of one processor."""


def asked(trial: Trial, default_size: tuple[int, int]) -> list[tuple[Shape, Wish]]:
    """Return the pictures that the trial asks for."""
    if trial.kind is TrialKind.SHAPES:
        return [(Shape(SIDE, SIDE), Wish(text, "", seed)) for seed, text in enumerate(sentences(_scenes()))]
    return [
        (
            Shape(each.width or default_size[0], each.height or default_size[1], each.steps),
            Wish(each.prompt, "", each.seed),
        )
        for each in trial.prompts or (PLAIN,)
    ]


def judged(trial: Trial, pictures: Sequence[Image]) -> Verdict:
    """Return how many of the pictures are right."""
    width, height = pictures[0].size
    if trial.kind is TrialKind.SHAPES:
        result = score(torch.stack([_tensor(picture) for picture in pictures]), _scenes())
        return Verdict(len(pictures), round(result.everything * len(pictures)), width, height)
    hashes = tuple(perceptual_hash(picture) for picture in pictures)
    right = sum(not is_blank(picture) for picture in pictures)
    if trial.kind is TrialKind.GOLDEN:
        pairs = zip(hashes, trial.prompts, strict=True)
        right = sum(
            each.expected is not None and distance(made, each.expected) <= trial.max_distance for made, each in pairs
        )
    return Verdict(len(pictures), right, width, height, hashes)


def _scenes() -> Scenes:
    every = every_scene()
    return Scenes(every.foreground[::SCENE_STEP], every.shape[::SCENE_STEP], every.background[::SCENE_STEP])


def _tensor(picture: Image) -> torch.Tensor:
    pixels = np.asarray(picture.convert("RGB"), dtype=np.float32) / 127.5 - 1
    return torch.from_numpy(pixels).permute(2, 0, 1)
