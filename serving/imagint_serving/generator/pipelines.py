"""Use any text-to-image diffusers pipeline the same way: what may be asked of it, and making one batch.

What a pipeline can do is read from its signature and configuration. Whatever it raises becomes an error of ours that
holds no word of a prompt, neither in its message nor in a chained exception. Nothing is logged or kept.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from PIL.Image import Image

from imagint_serving.errors import (
    ModelLoadError,
    ModelUnavailableError,
    OutOfMemoryError,
    RequestRefusedError,
    ServingError,
)

LARGEST_SIDE = 4096
LARGEST_GUIDANCE = 100.0
_DEFAULT_TIMESTEPS = 1000
_ALWAYS_GIVEN = {"prompt", "generator", "output_type", "args", "kwargs"}


@dataclass(frozen=True, slots=True)
class Shape:
    """What the images of one batch must share; `None` is the pipeline's own default."""

    width: int
    height: int
    steps: int | None = None
    guidance: float | None = None
    negative: bool = False


@dataclass(frozen=True, slots=True)
class Wish:
    """One image to be made."""

    prompt: str = field(repr=False)
    negative_prompt: str = field(repr=False)
    seed: int


class ImagePipeline:
    """A loaded text-to-image pipeline."""

    def __init__(self, pipeline: Any, model: str) -> None:
        parameters = inspect.signature(pipeline).parameters
        needed = {name for name, each in parameters.items() if each.default is inspect.Parameter.empty}
        if "prompt" not in parameters or "generator" not in parameters or needed - _ALWAYS_GIVEN:
            raise ModelLoadError(f"model {model}: {type(pipeline).__name__} makes no images from text alone")
        self._pipeline = pipeline
        self._model = model
        self._accepts = frozenset(parameters)

    def default_size(self) -> tuple[int, int]:
        """Return width and height that this pipeline makes when it is not told."""
        native = getattr(self._pipeline, "native_side", None) or getattr(self._pipeline, "default_sample_size", None)
        native = native or self._denoiser_config("sample_size") or 64
        height, width = native if isinstance(native, (tuple, list)) else (native, native)
        return width * self._scale(), height * self._scale()

    def check(self, shape: Shape) -> None:
        """Refuse what this pipeline cannot make.

        Raises:
            RequestRefusedError: it cannot; `param` is the field of the Images API to change.
        """
        if problem := self._size_problem(shape.width, shape.height):
            raise RequestRefusedError(problem, "size")
        most = self._most_steps()
        if shape.steps is not None and not ("num_inference_steps" in self._accepts and 1 <= shape.steps <= most):
            raise RequestRefusedError(f"this model takes 1 to {most} steps", "num_inference_steps")
        if shape.guidance is not None and not self._guides(shape.guidance):
            raise RequestRefusedError(f"guidance is from 0 to {LARGEST_GUIDANCE:g}, if any", "guidance_scale")
        if shape.negative and not self._takes_negative():
            raise RequestRefusedError("this model takes no negative prompt", "negative_prompt")
        if shape.negative and shape.guidance is not None and shape.guidance <= 1:
            raise RequestRefusedError("a negative prompt needs guidance above 1", "negative_prompt")

    def make(self, shape: Shape, wishes: Sequence[Wish]) -> list[Image]:
        """Return one image a wish. A batch that does not fit into memory is made in halves.

        Raises:
            OutOfMemoryError: not even one image fits.
            RequestRefusedError: the pipeline has a rule that `check` does not know.
            ModelUnavailableError: the pipeline failed.
        """
        outcome = self._attempt(shape, wishes)
        if not isinstance(outcome, ServingError):
            return outcome
        if isinstance(outcome, OutOfMemoryError) and len(wishes) > 1:
            middle = len(wishes) // 2
            return [*self.make(shape, wishes[:middle]), *self.make(shape, wishes[middle:])]
        # Raised out here, the pipeline's own exception is no part of it: that one may quote the prompt.
        raise outcome

    def _attempt(self, shape: Shape, wishes: Sequence[Wish]) -> list[Image] | ServingError:
        try:
            images: list[Image] = self._pipeline(**self._arguments(shape, wishes)).images
        except ValueError:
            return RequestRefusedError(f"model {self._model} refuses these parameters")
        except Exception as error:
            if _is_out_of_memory(error):
                _free()
                return OutOfMemoryError(f"model {self._model}: no memory for {len(wishes)} images", after=1.0)
            return ModelUnavailableError(f"model {self._model} failed: {type(error).__name__}")
        if any(image.size != (shape.width, shape.height) for image in images):
            return RequestRefusedError("this model cannot make that size", "size")
        return images

    def _arguments(self, shape: Shape, wishes: Sequence[Wish]) -> dict[str, Any]:
        # Noise comes from the CPU, so that a seed gives the same picture on every device.
        given: dict[str, Any] = {
            "prompt": [wish.prompt for wish in wishes],
            "generator": [torch.Generator("cpu").manual_seed(wish.seed) for wish in wishes],
            "output_type": "pil",
        }
        if "height" in self._accepts:
            given |= {"height": shape.height, "width": shape.width}
        if shape.steps is not None:
            given["num_inference_steps"] = shape.steps
        if shape.guidance is not None:
            given["guidance_scale"] = shape.guidance
        if shape.negative:
            given["negative_prompt"] = [wish.negative_prompt for wish in wishes]
        return given

    def _size_problem(self, width: int, height: int) -> str | None:
        rule = getattr(self._pipeline, "size_problem", None)
        if rule is not None:
            problem: str | None = rule(width, height)
            return problem
        if not ({"height", "width"} <= self._accepts):
            own = self.default_size()
            return None if (width, height) == own else f"this model makes {own[0]}x{own[1]} only"
        # Transformers see their latents in patches of two.
        step = self._scale() * (2 if getattr(self._pipeline, "transformer", None) is not None else 1)
        if all(0 < side <= LARGEST_SIDE and side % step == 0 for side in (width, height)):
            return None
        return f"this model makes sides that are multiples of {step} up to {LARGEST_SIDE}"

    def _most_steps(self) -> int:
        config = getattr(getattr(self._pipeline, "scheduler", None), "config", {})
        return int(config.get("num_train_timesteps", _DEFAULT_TIMESTEPS))

    def _guides(self, guidance: float) -> bool:
        return "guidance_scale" in self._accepts and 0 <= guidance <= LARGEST_GUIDANCE

    def _takes_negative(self) -> bool:
        # Pipelines with a separate "true" guidance ignore a negative prompt unless that is given too.
        return "negative_prompt" in self._accepts and "true_cfg_scale" not in self._accepts

    def _scale(self) -> int:
        return int(getattr(self._pipeline, "vae_scale_factor", 1))

    def _denoiser_config(self, name: str) -> Any:
        part = getattr(self._pipeline, "transformer", None) or getattr(self._pipeline, "unet", None)
        return getattr(part, "config", {}).get(name)


def _is_out_of_memory(error: Exception) -> bool:
    """Whether a GPU or the machine ran out of memory; torch has a type only for the first."""
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or "allocate memory" in str(error)


def _free() -> None:
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
