"""The diffusers pipeline of the shapes model: text to image, called like any other text-to-image pipeline.

The model draws at its native 32x32. Larger squares (multiples of 32, up to 1024) are the same picture enlarged with
bicubic interpolation: more pixels, no more detail. Other sizes are refused.

Every image takes its noise, and what its prompt leaves open, from its own generator: a seed makes the same picture
alone or in any batch. Nothing here may log or keep a prompt.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from diffusers import DiffusionPipeline, FlowMatchEulerDiscreteScheduler, ImagePipelineOutput, UNet2DConditionModel
from diffusers.image_processor import VaeImageProcessor
from diffusers.utils.torch_utils import randn_tensor
from torch import Tensor
from torch.nn import functional

from imagint_serving.shapes.choices import Generators, complete
from imagint_serving.shapes.text_encoder import ShapesTextEncoder
from imagint_serving.shapes.tokenizer import ShapesTokenizer

LARGEST_SIDE = 1024
OUTPUT_TYPES = ("pil", "np", "pt", "latent")
StepCallback = Callable[["ShapesPipeline", int, int, dict[str, Tensor]], dict[str, Tensor] | None]


class ShapesPipeline(DiffusionPipeline):  # type: ignore[misc]  # diffusers is untyped
    """Draw a shape of one colour on another."""

    model_cpu_offload_seq = "text_encoder->unet"
    _callback_tensor_inputs = ("latents", "prompt_embeds")

    def __init__(
        self,
        tokenizer: ShapesTokenizer,
        text_encoder: ShapesTextEncoder,
        unet: UNet2DConditionModel,
        scheduler: FlowMatchEulerDiscreteScheduler,
    ) -> None:
        super().__init__()
        self.register_modules(tokenizer=tokenizer, text_encoder=text_encoder, unet=unet, scheduler=scheduler)
        self.image_processor = VaeImageProcessor(vae_scale_factor=1)

    @property
    def native_side(self) -> int:
        """Width and height the model was trained at."""
        return int(self.unet.config.sample_size) * self.patch

    @property
    def patch(self) -> int:
        """How many pixels side by side the U-Net sees as one place: its channels are theirs."""
        return math.isqrt(int(self.unet.config.in_channels) // 3)

    def size_problem(self, width: int, height: int) -> str | None:
        """Say why this model cannot make pictures of that size; `None` when it can."""
        side = self.native_side
        if width == height and 0 < width <= LARGEST_SIDE and width % side == 0:
            return None
        return f"this model makes squares whose side is a multiple of {side} up to {LARGEST_SIDE}"

    @torch.no_grad()
    def __call__(  # noqa: PLR0913, PLR0917 -- the calling convention of diffusers
        self,
        prompt: str | Sequence[str],
        height: int | None = None,
        width: int | None = None,
        num_inference_steps: int = 8,
        guidance_scale: float = 3.0,
        negative_prompt: str | Sequence[str] | None = None,
        num_images_per_prompt: int = 1,
        generator: Generators = None,
        latents: Tensor | None = None,
        output_type: str = "pil",
        return_dict: bool = True,
        callback_on_step_end: StepCallback | None = None,
        callback_on_step_end_tensor_inputs: Sequence[str] = ("latents",),
    ) -> ImagePipelineOutput | tuple[Any, ...]:
        """Make one image a prompt, or `num_images_per_prompt` of each.

        Raises:
            ValueError: a size, count or output type that this pipeline does not have.
        """
        side = self.native_side
        self.check_inputs(width or side, height or side, num_inference_steps, guidance_scale, output_type)
        prompts = _repeated(prompt, num_images_per_prompt)
        if isinstance(generator, list) and len(generator) != len(prompts):
            raise ValueError(f"{len(generator)} generators for {len(prompts)} images")
        text = self._encode(complete(self._ids(prompts), generator))
        against = None
        if guidance_scale > 1:
            against = self._encode(self._ids(_negatives(negative_prompt, len(prompts), num_images_per_prompt)))
        if latents is None:
            places = side // self.patch
            shape = (len(prompts), int(self.unet.config.in_channels), places, places)
            latents = randn_tensor(shape, generator, self._execution_device, torch.float32)
        watch = (callback_on_step_end, callback_on_step_end_tensor_inputs)
        latents = self._denoise(latents, text, against, (num_inference_steps, guidance_scale), watch)
        self.maybe_free_model_hooks()
        images = self._finished(latents, width or side, output_type)
        return ImagePipelineOutput(images=images) if return_dict else (images,)

    def check_inputs(self, width: int, height: int, steps: int, guidance: float, output_type: str) -> None:
        """Refuse what this pipeline does not have.

        Raises:
            ValueError: it does not; the message says what it does have.
        """
        if problem := self.size_problem(width, height):
            raise ValueError(problem)
        if not 1 <= steps <= self.scheduler.config.num_train_timesteps:
            raise ValueError(f"steps are from 1 to {self.scheduler.config.num_train_timesteps}")
        if not np.isfinite(guidance):
            raise ValueError("guidance is a finite number")
        if output_type not in OUTPUT_TYPES:
            raise ValueError(f"output types are {', '.join(OUTPUT_TYPES)}")

    def _ids(self, sentences: list[str]) -> Tensor:
        ids: Tensor = self.tokenizer(sentences, return_tensors="pt").input_ids
        return ids

    def _encode(self, ids: Tensor) -> Tensor:
        vectors: Tensor = self.text_encoder(ids.to(self._execution_device))
        return vectors

    def _denoise(
        self,
        latents: Tensor,
        text: Tensor,
        against: Tensor | None,
        plan: tuple[int, float],
        watch: tuple[StepCallback | None, Sequence[str]],
    ) -> Tensor:
        """Follow the flow from noise to pictures."""
        steps, guidance = plan
        callback, names = watch
        self.scheduler.set_timesteps(sigmas=np.linspace(1, 1 / steps, steps), device=latents.device)
        for index, time in enumerate(self.progress_bar(self.scheduler.timesteps)):
            velocity = self._velocity(latents, time, text, against, guidance)
            latents = self.scheduler.step(velocity, time, latents, return_dict=False)[0]
            if callback is not None:
                shown = {name: {"latents": latents, "prompt_embeds": text}[name] for name in names}
                changed = callback(self, index, time, shown) or {}
                latents, text = changed.get("latents", latents), changed.get("prompt_embeds", text)
        return latents

    def _velocity(self, latents: Tensor, time: Tensor, text: Tensor, against: Tensor | None, guidance: float) -> Tensor:
        """Predict the direction at one point in time, guided away from `against`."""
        given, words = latents.to(text.dtype), text
        if against is not None:
            given, words = torch.cat([given, given]), torch.cat([text, against])
        predicted: Tensor = self.unet(given, time, encoder_hidden_states=words, return_dict=False)[0].float()
        if against is None:
            return predicted
        towards, away = predicted.chunk(2)
        return away + guidance * (towards - away)

    def _finished(self, latents: Tensor, width: int, output_type: str) -> Any:
        """Enlarge and convert."""
        if output_type == "latent":
            return latents
        latents = functional.pixel_shuffle(latents, self.patch)
        if width != self.native_side:
            latents = functional.interpolate(latents, size=(width, width), mode="bicubic", align_corners=False)
        return self.image_processor.postprocess(latents.clamp(-1, 1), output_type)


def _repeated(prompt: str | Sequence[str], times: int) -> list[str]:
    """Return one prompt for each image, the images of one prompt side by side."""
    prompts = [prompt] if isinstance(prompt, str) else list(prompt)
    return [each for each in prompts for _ in range(times)]


def _negatives(negative: str | Sequence[str] | None, images: int, times: int) -> list[str]:
    """Return one negative prompt for each image; a single one serves all."""
    if negative is None or isinstance(negative, str):
        return [negative or ""] * images
    repeated = _repeated(negative, times)
    if len(repeated) != images:
        raise ValueError(f"{len(repeated)} negative prompts for {images} images")
    return repeated
