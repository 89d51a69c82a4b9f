from __future__ import annotations

import torch

from imagint_serving.shapes.drawings import Scenes, draw, every_scene
from imagint_serving.shapes.scoring import score


def drawn(scenes: Scenes, seed: int = 0) -> torch.Tensor:
    return draw(scenes, torch.Generator().manual_seed(seed))


def test_there_are_ninety_scenes() -> None:
    assert len(every_scene()) == 90


def test_exact_drawings_score_nearly_everything() -> None:
    scenes = every_scene()
    assert min(score(drawn(scenes, seed), scenes).everything for seed in range(5)) >= 0.98


def test_noise_scores_nothing() -> None:
    scenes = every_scene()
    noise = torch.randn(90, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    assert score(noise, scenes).everything == 0


def test_each_mistake_is_seen_for_itself() -> None:
    scenes = every_scene()
    wrong_shape = Scenes(scenes.foreground, (scenes.shape + 1) % 3, scenes.background)
    swapped = Scenes(scenes.background, scenes.shape, scenes.foreground)
    by_shape, by_colour = score(drawn(wrong_shape), scenes), score(drawn(swapped), scenes)
    assert (by_shape.shape, by_shape.everything) == (0, 0)
    assert by_shape.foreground > 0.95
    assert by_shape.background == 1
    assert by_colour.foreground <= 0.05
    assert by_colour.background == 0
