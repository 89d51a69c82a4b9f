"""Where and how precisely a model runs, chosen by what the machine has.

On a GPU: bfloat16, channels-last convolutions, and compilation of the repeated blocks alone (a tenth of the time of
compiling everything, for the same speed). On a CPU: float32 as it is, on a bounded number of threads.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from imagint_serving.config import GeneratorConfig
from imagint_serving.errors import ModelLoadError

_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
_COMPILABLE = (7, 0)
"""The oldest CUDA compute capability that torch's compiler supports."""


@dataclass(frozen=True, slots=True)
class Placement:
    """A device and the precision of the weights on it."""

    device: torch.device
    dtype: torch.dtype


def placement(config: GeneratorConfig) -> Placement:
    """Return where the model of `config` goes.

    Raises:
        ModelLoadError: it asks for a GPU and there is none.
    """
    has_gpu = torch.cuda.is_available()
    if config.device == "cuda" and not has_gpu:
        raise ModelLoadError(f"model {config.model} asks for a GPU and this replica has none")
    device = torch.device("cuda" if has_gpu and config.device != "cpu" else "cpu")
    automatic = torch.bfloat16 if device.type == "cuda" else torch.float32
    return Placement(device, _DTYPES.get(config.dtype, automatic))


def bound_threads(environ: Mapping[str, str] = os.environ) -> int:
    """Use as many threads as this replica was given cores (Ray sets OMP_NUM_THREADS), else one."""
    given = environ.get("OMP_NUM_THREADS", "1")
    threads = min(max(1, int(given) if given.isdecimal() else 1), os.cpu_count() or 1)
    torch.set_num_threads(threads)
    return threads


def settle(pipeline: Any, where: Placement) -> None:
    """Move the loaded pipeline to its device and make it fast there."""
    pipeline.to(where.device)
    if where.device.type != "cuda":
        return
    for part in pipeline.components.values():
        if isinstance(part, torch.nn.Module):
            part.to(memory_format=torch.channels_last)
    denoiser: Any = getattr(pipeline, "transformer", None) or getattr(pipeline, "unet", None)
    if getattr(denoiser, "_repeated_blocks", None) and _can_compile():
        denoiser.compile_repeated_blocks(dynamic=True)


def _can_compile() -> bool:
    """Whether torch's compiler works here: a recent GPU and a C compiler for its launchers."""
    return torch.cuda.get_device_capability() >= _COMPILABLE and any(map(shutil.which, ("cc", "gcc", "clang")))
