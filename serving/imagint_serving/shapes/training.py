"""How the shapes model learns: flow matching in pixel space, with guidance dropout.

The recipe alone: no files, no clock, no progress bar (see `train`). Everything random comes from the one seed, so the
same machine makes the same weights.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from diffusers import UNet2DConditionModel
from torch import Tensor, nn

from imagint_serving.shapes.drawings import SIDE, Scenes, draw, random_scenes
from imagint_serving.shapes.text_encoder import ShapesTextEncoder
from imagint_serving.shapes.vocabulary import COLOURS, NULL_ID, SHAPES

PATCH = 2
"""The U-Net sees two by two pixels as one place with twelve channels: the same picture for half the work."""

TIMESTEPS = 1000
"""What the U-Net's time runs over; FlowMatchEulerDiscreteScheduler's default."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything that decides the weights."""

    seed: int = 0
    steps: int = 1700
    batch: int = 32
    rate: float = 2e-3
    drop_prompt: float = 0.1
    drop_word: float = 0.05
    average: float = 0.995


@dataclass(frozen=True, slots=True)
class Network:
    """The two trained parts."""

    unet: UNet2DConditionModel
    text_encoder: ShapesTextEncoder

    def parameters(self) -> list[nn.Parameter]:
        """Return all weights, the U-Net's first."""
        return [*self.unet.parameters(), *self.text_encoder.parameters()]

    def velocity(self, noisy: Tensor, time: Tensor, tokens: Tensor) -> Tensor:
        """Return the predicted direction from picture to noise."""
        text = self.text_encoder(tokens)
        predicted: Tensor = self.unet(noisy, time * TIMESTEPS, encoder_hidden_states=text).sample
        return predicted


def new_network(seed: int) -> Network:
    """Return untrained weights: about a million, small enough to learn on one core."""
    torch.manual_seed(seed)
    unet = UNet2DConditionModel(
        sample_size=SIDE // PATCH,
        in_channels=3 * PATCH**2,
        out_channels=3 * PATCH**2,
        layers_per_block=1,
        block_out_channels=(32, 48, 64),
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=64,
        attention_head_dim=8,
        norm_num_groups=8,
    )
    return Network(unet.to(memory_format=torch.channels_last), ShapesTextEncoder())


def tokens_of(scenes: Scenes) -> Tensor:
    """Return the three token ids of each scene."""
    shape, background = scenes.shape + len(COLOURS), scenes.background + len(COLOURS) + len(SHAPES)
    return torch.stack([scenes.foreground, shape, background], 1)


def train(network: Network, recipe: Recipe) -> Iterator[float]:
    """Train in place, yielding the loss after each step; the last step leaves the averaged weights."""
    generator = torch.Generator().manual_seed(recipe.seed)
    weights = network.parameters()
    averages = [weight.detach().clone() for weight in weights]
    optimizer = torch.optim.AdamW(weights, recipe.rate, betas=(0.9, 0.98), weight_decay=0.01)
    for step in range(recipe.steps):
        for group in optimizer.param_groups:
            group["lr"] = _rate(recipe, step)
        loss = _loss(network, recipe, generator)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        with torch.no_grad():
            torch._foreach_lerp_(averages, [weight.detach() for weight in weights], 1 - recipe.average)
        if step == recipe.steps - 1:
            _adopt(weights, averages)
        yield loss.item()


def _rate(recipe: Recipe, step: int) -> float:
    """Warm up for forty steps, stay, then fall to a twentieth over the last two fifths."""
    left = (recipe.steps - step) / (recipe.steps * 0.4)
    return recipe.rate * min(1.0, (step + 1) / 40) * max(0.05, min(1.0, left))


def _loss(network: Network, recipe: Recipe, generator: torch.Generator) -> Tensor:
    """One batch: pictures half-way to noise, and how wrong the predicted direction is."""
    scenes = random_scenes(recipe.batch, generator)
    pictures, tokens = nn.functional.pixel_unshuffle(draw(scenes, generator), PATCH), tokens_of(scenes)
    dropped = torch.rand(recipe.batch, 1, generator=generator) < recipe.drop_prompt
    dropped = dropped | (torch.rand(tokens.shape, generator=generator) < recipe.drop_word)
    tokens = tokens.masked_fill(dropped, NULL_ID)
    time = torch.sigmoid(torch.randn(recipe.batch, generator=generator))
    noise = torch.randn(pictures.shape, generator=generator)
    part = time[:, None, None, None]
    noisy = ((1 - part) * pictures + part * noise).contiguous(memory_format=torch.channels_last)
    return nn.functional.mse_loss(network.velocity(noisy, time, tokens), noise - pictures)


@torch.no_grad()
def _adopt(weights: list[nn.Parameter], averages: list[Tensor]) -> None:
    for weight, average in zip(weights, averages, strict=True):
        weight.copy_(average)
