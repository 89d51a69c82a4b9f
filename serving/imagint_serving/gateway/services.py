"""What one Gateway process works with: made once, handed to every route."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from imagint_privacy.records.library import Library
from imagint_serving.config import GatewayConfig, GatewaySettings
from imagint_serving.gateway.generators import Generators
from imagint_serving.gateway.identity import ApiKeys, PlatformCallers
from imagint_serving.gateway.keeping import LibraryKeeper
from imagint_serving.gateway.limits import Spending
from imagint_serving.gateway.workers import Workers

GENERATION_TIMEOUT_SECONDS = 300.0


def _random_seed() -> int:
    return secrets.randbits(53)  # exact in every JSON reader


@dataclass(slots=True)
class Services:
    """The parts of one Gateway; only `settings` changes while it runs."""

    config: GatewayConfig
    api_keys: ApiKeys
    platform: PlatformCallers
    keeper: LibraryKeeper
    generators: Generators
    settings: GatewaySettings = field(default_factory=GatewaySettings)
    spending: Spending = field(default_factory=Spending)
    clock: Callable[[], float] = time.time
    random_seed: Callable[[], int] = _random_seed
    generation_timeout: float = GENERATION_TIMEOUT_SECONDS
    # Two pools: no flood of image requests may keep an erasure waiting.
    image_workers: Workers = field(default_factory=lambda: Workers("images", threads=8, backlog=128))
    privacy_workers: Workers = field(default_factory=lambda: Workers("privacy", threads=4, backlog=32))
    # Trials take a model's time: one by one.
    trial: asyncio.Lock = field(default_factory=asyncio.Lock)
    model_times: dict[str, int] = field(default_factory=dict)

    @property
    def library(self) -> Library:
        """The tenant's library.

        Raises:
            UnavailableError: it is not open.
        """
        return self.keeper.library

    def reconfigure(self, settings: GatewaySettings) -> None:
        """Take new settings over, and remember when a model first appeared."""
        now = int(self.clock())
        self.model_times = {name: self.model_times.get(name, now) for name in settings.models}
        self.settings = settings

    def close(self) -> None:
        """Let what runs end, then close the library."""
        self.image_workers.close()
        self.privacy_workers.close()
        self.keeper.close()
