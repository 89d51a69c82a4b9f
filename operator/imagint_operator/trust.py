"""Publishes the public key that certificates are checked with, in the ConfigMap `imagint-evidence-key`."""

from __future__ import annotations

import asyncio

from imagint_operator import names
from imagint_operator.keyrings import translated
from imagint_operator.kube.client import KubeClient
from imagint_operator.kube.differences import stamped, up_to_date
from imagint_operator.kube.resources import CONFIG_MAPS, ObjectKey
from imagint_privacy import errors as privacy
from imagint_privacy.keys.ports import Signer

TRUST = ObjectKey("Trust", names.PLATFORM_NAMESPACE, "imagint-evidence-key")
FILE = "evidence.pub"
AGAIN_SECONDS = 300.0


class TrustController:
    """Keeps the published key equal to Vault's."""

    def __init__(self, client: KubeClient, signer: Signer) -> None:
        self._client = client
        self._signer = signer

    async def reconcile(self, key: ObjectKey) -> float | None:
        """Look at the published key; answers after how many seconds to look again."""
        try:
            pem = await asyncio.to_thread(self._signer.public_key)
        except privacy.PrivacyError as error:
            raise translated(error) from error
        metadata = {"name": key.name, "namespace": key.namespace, "labels": {names.MANAGED_BY: names.OPERATOR}}
        wanted = stamped({"metadata": metadata, "data": {FILE: pem}})
        if not up_to_date(await self._client.get(CONFIG_MAPS, key.name, key.namespace), wanted):
            await self._client.apply(CONFIG_MAPS, wanted)
        return AGAIN_SECONDS
