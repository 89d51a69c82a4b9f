"""Reading back what was made, for the person it was made for.

An image that never was, one of another tenant and one that was erased are told apart by nothing: same status, same
words.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from imagint_privacy.errors import AccessDeniedError, KeyDestroyedError, PathInvalidError, RecordMissingError
from imagint_privacy.purposes import Purpose
from imagint_privacy.records.library import Entry, Library, Opened
from imagint_serving.gateway.errors import NotFoundError
from imagint_serving.gateway.production import IMAGES

_GONE = (RecordMissingError, KeyDestroyedError, PathInvalidError, AccessDeniedError)


@dataclass(frozen=True, slots=True)
class ShelvedImage:
    """An image as it was kept, with what is still known of how it was made."""

    entry: Entry
    content: bytes = field(repr=False)
    details: dict[str, Any] = field(repr=False)


def open_image(library: Library, image_id: str) -> ShelvedImage:
    """Open one image.

    Raises:
        NotFoundError: there is none that may be read, for whatever reason.
        PrivacyError: keys or storage cannot be reached.
    """
    try:
        entry = library.locate(image_id, Purpose.DELIVER)
        if entry.category != IMAGES:
            raise RecordMissingError("not an image")
        opened = library.read(entry.subject, image_id, Purpose.DELIVER)
    except _GONE:
        raise NotFoundError("image_not_found", "There is no such image.") from None
    return ShelvedImage(entry, opened.content, _details(library, opened))


def list_images(library: Library, subject: str, after: str | None, limit: int) -> tuple[Entry, ...]:
    """Return the newest images of a subject, those older than `after`; one that may not be read now has none."""
    try:
        return library.entries(subject, Purpose.DELIVER, category=IMAGES, before=after, limit=limit)
    except AccessDeniedError:
        return ()


def _details(library: Library, opened: Opened) -> dict[str, Any]:
    """Return what the generation's own record says; prompts may be erased while images stay."""
    token, _, index = opened.entry.record_id.removeprefix("img_").rpartition("_")
    try:
        record = library.read(opened.entry.subject, f"gen_{token}", Purpose.DELIVER)
    except _GONE:
        return {}
    generation = json.loads(record.content)
    known = {name: generation.get(name) for name in ("model", "prompt", "negative_prompt", "size", "steps")}
    return {**known, "seed": generation["images"][int(index)]["seed"]}
