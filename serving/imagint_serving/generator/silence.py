"""Keep the model libraries quiet, because what they print can hold prompts.

CLIP pipelines, for one, log the part of a prompt that they had to cut off. Nothing that a library says while it has a
prompt in hand may reach a log: errors are reported by us, with ids only. Acts on the whole process.
"""

from __future__ import annotations

import logging
import warnings

_CHATTY = ("diffusers", "transformers", "huggingface_hub", "torch", "accelerate", "peft", "PIL")


def silence_libraries() -> None:
    """Turn off the libraries' logs, warnings and progress bars."""
    from diffusers.utils import logging as diffusers_logging
    from huggingface_hub.utils.tqdm import disable_progress_bars
    from transformers.utils import logging as transformers_logging

    for library in (diffusers_logging, transformers_logging):
        library.set_verbosity(logging.CRITICAL + 1)
        library.disable_progress_bar()
    disable_progress_bars()
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
        warnings.filterwarnings("ignore", module=rf"{name}(\.|$)")
