"""The people of the story. They use the official `openai` client and nothing else, as a tenant's app would."""

from __future__ import annotations

import base64
from dataclasses import dataclass

from openai import OpenAI

MODEL, SIZE = "shapes", "128x128"


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody at a tenant, and what they ask for."""

    name: str
    identifier: str
    tenant: str
    prompts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MadeImage:
    """An image as the API returned it: its record id, the caller's handle, the bytes."""

    record: str
    subject: str
    prompt: str
    png: bytes


ANA = Person("Ana", "ana@acme.example", "acme", (
    "a red circle on blue", "a yellow triangle on black", "a white square on green", "a blue circle on yellow",
))  # fmt: skip
BO = Person("Bo", "bo@acme.example", "acme", (
    "a green square on white", "a red triangle on black", "a black circle on yellow", "a blue square on red",
))  # fmt: skip
CY = Person("Cy", "cy@globex.example", "globex", (
    "a yellow circle on blue", "a black triangle on white", "a red square on green", "a white circle on red",
))  # fmt: skip
PEOPLE = (ANA, BO, CY)


def client(base_url: str, api_key: str) -> OpenAI:
    """The official client, unchanged, pointed at a tenant's Gateway."""
    return OpenAI(base_url=base_url, api_key=api_key, timeout=60, max_retries=2)


def make_image(api: OpenAI, person: Person, prompt: str, seed: int) -> MadeImage:
    """One `images.generate` call; the handle and the record id travel in the answer's headers."""
    raw = api.images.with_raw_response.generate(
        model=MODEL, prompt=prompt, size=SIZE, user=person.identifier, extra_body={"seed": seed}
    )
    answer = raw.parse()
    if not answer.data or not answer.data[0].b64_json:
        raise ValueError("the answer holds no image")
    record = str((answer.data[0].model_extra or {})["id"])
    png = base64.b64decode(answer.data[0].b64_json)
    return MadeImage(record, raw.headers["x-imagint-subject"], prompt, png)
