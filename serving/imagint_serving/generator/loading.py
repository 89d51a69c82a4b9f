"""Load a model from where its source says: one way for the bundled model, a folder and a hub repository.

A repository is data here: weights only as safetensors, and no code from it is ever run (no `trust_remote_code`).
Pipelines of our own are found by the class name that their model_index.json gives, among those listed below.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from diffusers import DiffusionPipeline
from diffusers.utils import is_accelerate_available

from imagint_serving.config import BundledSource, HubSource, ModelSource, PathSource
from imagint_serving.errors import ModelLoadError
from imagint_serving.models import bundled, bundled_names

OWN_PIPELINES = {"ShapesPipeline": "imagint_serving.shapes.pipeline"}
"""Pipeline classes that diffusers does not have, and the installed module that does."""

_LONGEST_REASON = 300
Hub = Callable[[HubSource], Path]


def download(source: HubSource) -> Path:
    """Fetch a hub repository into the local cache (none of it if it is there already) and return its folder."""
    return Path(DiffusionPipeline.download(source.repository, revision=source.revision, use_safetensors=True))


def check_place(source: ModelSource, roots: Sequence[str]) -> None:
    """Refuse a folder that lies, once its links are followed, below none of `roots`.

    The answer is that of a folder that is not there, so that it tells nothing about the disk.

    Raises:
        ModelLoadError: it lies elsewhere.
    """
    if not isinstance(source, PathSource):
        return
    place = Path(source.path).resolve()
    if not any(place.is_relative_to(Path(root).resolve()) for root in roots):
        where = " or ".join(roots) or "any folder that this cluster offers"
        raise ModelLoadError(f"{describe(source)} does not exist below {where}")


def load(source: ModelSource, dtype: torch.dtype, hub: Hub = download) -> Any:
    """Return the diffusers pipeline of `source`, on the CPU.

    Raises:
        ModelLoadError: it is not there, is no text-to-image repository, or needs code of its own.
    """
    name = describe(source)
    folder = _folder(source, name, hub)
    try:
        pipeline = _pipeline_class(folder, name).from_pretrained(
            folder, dtype=dtype, use_safetensors=True, low_cpu_mem_usage=is_accelerate_available()
        )
    except ModelLoadError:
        raise
    except Exception as error:
        raise _failure(name, error) from error
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def describe(source: ModelSource) -> str:
    """Return how messages name the source."""
    match source:
        case BundledSource():
            return f"bundled model {source.name}"
        case PathSource():
            return f"model folder {source.path}"
        case HubSource():
            return f"hub repository {source.repository}" + (f" at {source.revision}" if source.revision else "")


def _folder(source: ModelSource, name: str, hub: Hub) -> Path:
    match source:
        case BundledSource():
            folder = bundled(source.name)
            if source.name not in bundled_names():
                raise ModelLoadError(f"there is no {name}; there are: {', '.join(bundled_names())}")
        case PathSource():
            folder = Path(source.path)
        case HubSource():
            try:
                folder = hub(source)
            except Exception as error:
                raise _failure(name, error) from error
    if not folder.is_dir():
        raise ModelLoadError(f"{name} does not exist")
    return folder


def _pipeline_class(folder: Path, name: str) -> Any:
    """Return the class that can load the folder: diffusers' own loader, or a pipeline of ours."""
    try:
        index = json.loads((folder / "model_index.json").read_text())
        wanted = index["_class_name"]
    except FileNotFoundError:
        raise ModelLoadError(f"{name} is no diffusers repository: it has no model_index.json") from None
    except (ValueError, KeyError, TypeError) as error:
        raise ModelLoadError(f"{name} has a model_index.json that names no pipeline") from error
    if not isinstance(wanted, str):
        raise ModelLoadError(f"{name} needs code of its own, and code from a repository is never run")
    module = OWN_PIPELINES.get(wanted)
    return getattr(importlib.import_module(module), wanted) if module else DiffusionPipeline


def _failure(name: str, error: Exception) -> ModelLoadError:
    """Say why in one line; a traceback into diffusers helps nobody who reads a condition."""
    reason = " ".join(str(error).split())[:_LONGEST_REASON]
    return ModelLoadError(f"{name} cannot be loaded: {type(error).__name__}: {reason}")
