"""A whole Gateway for tests: real library on SQLite, true fakes of Vault, Generators and the token issuer.

Never used in service.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

from imagint_privacy.errors import StorageUnavailableError
from imagint_privacy.keys.fakes import FakeTransit
from imagint_privacy.purposes import Purpose
from imagint_privacy.records.library import Draft, Library, StorageSettings
from imagint_serving.config import GatewayConfig, GatewaySettings, ModelSettings, StorageConfig, VaultConfig
from imagint_serving.gateway.fakes import FakeGenerators
from imagint_serving.gateway.identity import AUDIENCE, ApiKeys, PlatformCallers, Role
from imagint_serving.gateway.keeping import LibraryKeeper
from imagint_serving.gateway.services import Services

ISSUER = "https://cluster.test"
KEY_ID = "cluster-key"
Clock = Callable[[], datetime]


def wall_clock() -> datetime:
    """Return the time."""
    return datetime.now(UTC)


class FakeIssuer:
    """A cluster that signs ServiceAccount tokens and publishes its key."""

    def __init__(self, path: Path) -> None:
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.path = path
        published = jwt.algorithms.RSAAlgorithm.to_jwk(self._key.public_key(), as_dict=True)
        keys = [{**published, "kid": KEY_ID, "use": "sig", "alg": "RS256"}]
        path.write_text(json.dumps({"issuer": ISSUER, "jwks": {"keys": keys}}))

    def token(self, subject: str | Role, **claims: Any) -> str:
        """Sign a token; a claim given as None is left out."""
        now = int(time.time())
        subject = subject.value if isinstance(subject, Role) else subject
        body = {"iss": ISSUER, "aud": [AUDIENCE], "sub": subject, "iat": now, "exp": now + 600, **claims}
        body = {name: value for name, value in body.items() if value is not None}
        return jwt.encode(body, self._key, algorithm="RS256", headers={"kid": KEY_ID})

    def bearer(self, subject: str | Role, **claims: Any) -> dict[str, str]:
        """Return the header that carries such a token."""
        return {"authorization": f"Bearer {self.token(subject, **claims)}"}


class TenantRig:
    """One tenant: its folder, its API keys, its services."""

    def __init__(self, name: str, folder: Path, transit: FakeTransit, issuer: FakeIssuer) -> None:
        self.name = name
        self.folder = folder / name
        self.transit = transit
        self.generators = FakeGenerators(f"{name}.model.shapes")
        self.handover = self.folder / "handover"
        self.handover.mkdir(parents=True)
        self.key = f"api-key-of-{name}"
        self.hand_over(web=self.key)
        transit.admin().ensure(f"tenant-{name}")
        self.services = self._services(issuer)
        self.services.reconfigure(GatewaySettings(models={"shapes": self._model()}))

    @property
    def bearer(self) -> dict[str, str]:
        """The header that carries the tenant's API key."""
        return {"authorization": f"Bearer {self.key}"}

    def hand_over(self, **keys: str) -> None:
        """Hand digests of API keys over, as the projector does."""
        digests = {name: hashlib.sha256(key.encode()).hexdigest() for name, key in keys.items()}
        part = self.handover / "part"
        part.write_text(json.dumps(digests))
        part.replace(self.handover / "api-keys.json")

    def open_library(self, replica: str = "replica-1", cache_seconds: float = 0.05, now: Clock = wall_clock) -> Library:
        """Open the tenant's library as a replica does."""
        storage = self.services.config.storage
        return Library.open(
            self.name,
            StorageSettings(storage.database, storage.objects, storage.tree_copies),
            self.transit.tenant_key(f"tenant-{self.name}"),
            key_name=f"tenant-{self.name}",
            replica=replica,
            cache_seconds=cache_seconds,
            now=now,
        )

    def draw_in_the_past(self, at: datetime, *people: str) -> list[str]:
        """Store an image `img_<person>_0` of each person, made long ago; return their handles."""
        with contextlib.closing(self.open_library("past", now=lambda: at)) as past:
            handles = [past.handle(person) for person in people]
            for person, handle in zip(people, handles, strict=True):
                draft = Draft(f"img_{person}_0", "images", "image/png", b"old", large=True)
                with contextlib.suppress(StorageUnavailableError):  # swept by a Gateway that has just opened, once
                    past.store(past.begin(handle, Purpose.GENERATE), [draft])
                    continue
                past.store(past.begin(handle, Purpose.GENERATE), [draft])
            return handles

    def _services(self, issuer: FakeIssuer) -> Services:
        for name in ("objects", "copy"):
            (self.folder / name).mkdir()
        storage = StorageConfig(
            database=f"sqlite:///{self.folder / 'records.db'}",
            objects=f"file://{self.folder / 'objects'}",
            tree_copies=(f"file://{self.folder / 'copy'}",),
        )
        config = GatewayConfig(
            tenant=self.name,
            namespace=f"tenant-{self.name}",
            handover=str(self.handover),
            platform=str(issuer.path),
            vault=VaultConfig(address="http://vault.test", key=f"tenant-{self.name}"),
            storage=storage,
            cache_seconds=0.05,
        )
        return Services(
            config=config,
            api_keys=ApiKeys(self.handover / "api-keys.json"),
            platform=PlatformCallers(issuer.path),
            keeper=LibraryKeeper(self.open_library),
            generators=self.generators,
            random_seed=lambda: 42,
        )

    def _model(self) -> ModelSettings:
        return ModelSettings(
            app=f"{self.name}.model.shapes", max_pixels=64 * 64, max_steps=50, default_steps=12, max_n=4
        )
