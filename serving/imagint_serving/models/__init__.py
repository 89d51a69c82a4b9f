"""The models that come with the package, one diffusers folder each, and where they are.

Files and their place only: nothing here loads a model or imports torch.
"""

from __future__ import annotations

from pathlib import Path

_HERE = Path(__file__).parent


def bundled(name: str) -> Path:
    """Return the folder of the bundled model `name`; it may not exist."""
    return _HERE / name


def bundled_names() -> list[str]:
    """Return the names of the models that are there."""
    return sorted(path.parent.name for path in _HERE.glob("*/model_index.json"))
