from __future__ import annotations

import asyncio
import pickle
import subprocess
import sys
from dataclasses import replace
from io import BytesIO
from typing import Any

import pytest
from PIL import Image
from ray import serve

from imagint_serving.config import Batching, BundledSource, GeneratorConfig, PathSource
from imagint_serving.errors import ModelLoadError, RequestRefusedError, TransportError
from imagint_serving.generator.deployment import Generator, build
from imagint_serving.transport import GenerationCall, ImageRecipient, SealedImage

CONFIG = GeneratorConfig(
    tenant="acme", model="shapes", source=BundledSource(type="Bundled"), batching=Batching(max_size=4, wait_ms=5)
)
SECRET = "a red circle on blue for alice"


@pytest.fixture(scope="module")
def generator() -> Generator:
    return Generator(CONFIG)


def call_for(recipient: ImageRecipient, **changes: Any) -> GenerationCall:
    call = GenerationCall("req-1", SECRET, "", 32, 32, 3, None, (1, 2), recipient.public_key())
    return replace(call, **changes)


def opened(recipient: ImageRecipient, sealed: list[SealedImage], request: str = "req-1") -> list[Image.Image]:
    contents = [recipient.open(image, request_id=request, index=index) for index, image in enumerate(sealed)]
    return [Image.open(BytesIO(content)) for content in contents]


async def test_images_come_back_sealed_for_the_caller_alone(generator: Generator) -> None:
    recipient = ImageRecipient()
    sealed = await generator.generate(call_for(recipient, width=64, height=64))
    images = opened(recipient, sealed)
    assert [(image.format, image.size, image.info) for image in images] == [("PNG", (64, 64), {})] * 2
    assert [each.seed for each in sealed] == [1, 2]
    assert b"PNG" not in pickle.dumps(sealed)
    with pytest.raises(TransportError):
        ImageRecipient().open(sealed[0], request_id="req-1", index=0)
    with pytest.raises(TransportError):
        recipient.open(sealed[0], request_id="req-1", index=1)


async def test_callers_who_come_together_are_served_together_and_get_their_own(generator: Generator) -> None:
    recipients = [ImageRecipient() for _ in range(4)]
    calls = [call_for(each, request_id=f"req-{i}", seeds=(i,)) for i, each in enumerate(recipients)]
    answers = await asyncio.gather(*map(generator.generate, calls))
    for place, (recipient, sealed) in enumerate(zip(recipients, answers, strict=True)):
        assert len(opened(recipient, sealed, f"req-{place}")) == 1


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        pytest.param({"width": 40}, "size", id="a size the model does not have"),
        pytest.param({"steps": 0}, "num_inference_steps", id="no steps"),
        pytest.param({"guidance": float("nan")}, "guidance_scale", id="guidance that is no number"),
        pytest.param({"seeds": ()}, "n", id="no image"),
        pytest.param({"seeds": tuple(range(101))}, "n", id="too many images"),
        pytest.param({"seeds": (-1,)}, "seed", id="a seed below zero"),
        pytest.param({"prompt": "x" * 70_000}, "prompt", id="a prompt beyond the bound"),
        pytest.param({"prompt": "\ud800" * 30_000}, "prompt", id="half a character, many times"),
    ],
)
async def test_a_refusal_names_the_parameter_and_survives_the_way_back(
    generator: Generator, changes: dict[str, Any], param: str
) -> None:
    with pytest.raises(RequestRefusedError) as refusal:
        await generator.generate(call_for(ImageRecipient(), **changes))
    crossed = pickle.loads(pickle.dumps(refusal.value))  # noqa: S301 -- our own bytes
    assert (crossed.param, str(crossed)) == (param, str(refusal.value))
    assert SECRET not in repr(crossed)


async def test_an_unusable_recipient_is_refused(generator: Generator) -> None:
    with pytest.raises(TransportError, match="req-1"):
        await generator.generate(call_for(ImageRecipient(), recipient_public_key=b"short"))


async def test_a_probe_tells_how_long_an_image_takes(generator: Generator) -> None:
    answer = await generator.probe()
    assert answer["ok"]
    assert answer["default_size"] == "32x32"
    assert 0 <= answer["seconds"] < 30


def test_a_model_that_cannot_be_loaded_says_why() -> None:
    with pytest.raises(ModelLoadError, match="model folder /no/such/folder does not exist"):
        Generator(CONFIG.model_copy(update={"source": PathSource(type="Path", path="/no/such/folder")}))


def test_a_gpu_that_is_asked_for_and_missing_is_said_plainly() -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(ModelLoadError, match="asks for a GPU"):
        Generator(CONFIG.model_copy(update={"device": "cuda"}))


@pytest.fixture
def handle() -> Any:
    return serve.run(build(CONFIG), name="acme.model.shapes", route_prefix=None, _local_testing_mode=True)


def test_the_app_answers_through_a_serve_handle(handle: Any) -> None:
    recipient = ImageRecipient()
    sealed = handle.generate.remote(call_for(recipient)).result(timeout_s=60)
    assert [image.size for image in opened(recipient, sealed)] == [(32, 32)] * 2


def test_building_the_app_does_not_import_torch() -> None:
    program = f"""
import sys
from imagint_serving.config import GeneratorConfig
from imagint_serving.generator.deployment import build
build(GeneratorConfig.model_validate({CONFIG.model_dump()!r}))
sys.exit(bool({{"torch", "diffusers", "transformers"}} & set(sys.modules)))
"""
    assert subprocess.run([sys.executable, "-c", program], timeout=60, check=False).returncode == 0
