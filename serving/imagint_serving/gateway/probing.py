"""Trying a model out: one tiny image through the whole way to the Generator and back, kept nowhere."""

from __future__ import annotations

import time
import uuid

from imagint_serving.errors import RequestRefusedError, ServingError
from imagint_serving.gateway.errors import UnavailableError
from imagint_serving.gateway.parameters import ImageRequest, resolve
from imagint_serving.gateway.production import generation_call
from imagint_serving.gateway.services import Services
from imagint_serving.transport import ImageRecipient

PROMPT = "a red circle on blue"
TIMEOUT_SECONDS = 60.0


async def probe_model(services: Services, name: str) -> float:
    """Return the seconds that one small image took.

    Raises:
        NotFoundError: there is no such model.
        UnavailableError: it does not answer with an image that opens.
    """
    picture = resolve(
        ImageRequest(prompt=PROMPT, model=name, seed=0),
        services.settings,
        services.random_seed,
    )
    recipient, request_id = ImageRecipient(), f"probe_{uuid.uuid4().hex}"
    began = time.perf_counter()
    try:
        call = generation_call(request_id, picture, recipient)
        images = await services.generators.generate(picture.app, call, TIMEOUT_SECONDS)
        recipient.open(images[0], request_id=request_id, index=0)
    except (ServingError, IndexError) as error:
        after = getattr(error, "after", 2.0)
        reason = error.message if isinstance(error, RequestRefusedError) else type(error).__name__
        raise UnavailableError("model_unavailable", f"{name}: {reason}", retry_after=after) from None
    return round(time.perf_counter() - began, 3)
