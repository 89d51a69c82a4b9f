"""The two Serve applications of a tenant, as the operator names them: `imagint_serving.app:gateway` and `:generator`.

Arguments are plain JSON and hold nothing secret. Each builder imports only its own side, so that a Gateway's process
never loads torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from imagint_serving.config import GatewayConfig, GeneratorConfig

if TYPE_CHECKING:
    from ray.serve import Application


def gateway(args: dict[str, Any]) -> Application:
    """Return the application `<tenant>.gateway`.

    Raises:
        pydantic.ValidationError: the arguments are not a `GatewayConfig`.
    """
    config = GatewayConfig.model_validate(args)
    from imagint_serving.gateway.deployment import build

    return build(config)


def generator(args: dict[str, Any]) -> Application:
    """Return the application `<tenant>.model.<model deployment>.<revision>`.

    Raises:
        pydantic.ValidationError: the arguments are not a `GeneratorConfig`.
    """
    config = GeneratorConfig.model_validate(args)
    from imagint_serving.generator.deployment import build

    return build(config)
