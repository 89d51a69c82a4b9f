"""The tokenizer of the shapes model: a sentence in, always three token ids out.

A transformers tokenizer, so that diffusers saves and loads it like any other. It understands instead of splitting
(see `prompts`): unknown words change nothing, and no input can be too long or malformed.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizer

from imagint_serving.shapes.prompts import Understood, understand
from imagint_serving.shapes.vocabulary import NULL, SLOTS, TOKENS

VOCABULARY_FILE = "vocab.json"


class ShapesTokenizer(PreTrainedTokenizer):  # type: ignore[misc]  # transformers is untyped
    """Turn sentences into the ids of their three tokens."""

    vocab_files_names = {"vocab_file": VOCABULARY_FILE}  # noqa: RUF012 -- transformers' own declaration
    model_input_names = ["input_ids"]  # noqa: RUF012

    def __init__(self, vocab_file: str | None = None, **settings: Any) -> None:
        tokens = json.loads(Path(vocab_file).read_text()) if vocab_file else TOKENS
        self._ids: dict[str, int] = {token: index for index, token in enumerate(tokens)}
        self._tokens: dict[int, str] = dict(enumerate(tokens))
        settings.setdefault("model_max_length", SLOTS)
        # A prompt that spells a token's name is an ordinary prompt.
        settings.setdefault("split_special_tokens", True)
        super().__init__(**({"pad_token": NULL, "unk_token": NULL} | settings))

    @property
    def vocab_size(self) -> int:
        """How many tokens there are."""
        return len(self._ids)

    def get_vocab(self) -> dict[str, int]:
        """Return every token with its id."""
        return dict(self._ids)

    def understand(self, sentence: str) -> Understood:
        """Return in words what the model will be asked for."""
        return understand(sentence)

    def save_vocabulary(self, save_directory: str, filename_prefix: str | None = None) -> tuple[str]:
        """Write the tokens in the order of their ids."""
        path = Path(save_directory) / (f"{filename_prefix}-{VOCABULARY_FILE}" if filename_prefix else VOCABULARY_FILE)
        path.write_text(json.dumps(list(self._ids), indent=2) + "\n")
        return (str(path),)

    def _tokenize(self, text: str, **_: Any) -> list[str]:
        return list(understand(text).tokens())

    def _convert_token_to_id(self, token: str) -> int:
        return self._ids.get(token, self._ids[NULL])

    def _convert_id_to_token(self, index: int) -> str:
        return self._tokens[index]
