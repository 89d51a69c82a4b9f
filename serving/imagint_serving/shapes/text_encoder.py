"""The text encoder of the shapes model: one learned vector for each of its sixteen tokens.

A diffusers model in its own right, so that it is saved, loaded and moved to a device like every other component.
"""

from __future__ import annotations

import torch
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from torch import Tensor, nn

from imagint_serving.shapes.vocabulary import TOKENS


class ShapesTextEncoder(ModelMixin, ConfigMixin):  # type: ignore[misc]  # diffusers is untyped
    """Look up each token's vector."""

    @register_to_config  # type: ignore[untyped-decorator]
    def __init__(self, vocabulary_size: int = len(TOKENS), hidden_size: int = 64) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary_size, hidden_size)

    def forward(self, input_ids: Tensor) -> Tensor:
        """Return the vectors of `input_ids`, one row a token."""
        vectors: Tensor = self.embedding(input_ids)
        return vectors

    @property
    def dtype(self) -> torch.dtype:
        """The precision of the vectors."""
        return self.embedding.weight.dtype
