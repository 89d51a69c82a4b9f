"""A revision is tried before it serves: only one this Gateway was told of, within bounds, and nothing is kept."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.testclient import TestClient

from imagint_serving.config import GatewaySettings, ModelSettings
from imagint_serving.gateway.identity import Role
from imagint_serving.gateway.rigs import FakeIssuer, TenantRig

CANDIDATE = "acme.model.shapes.ffff0000"


@pytest.fixture
def tried(client: TestClient, acme: TenantRig, issuer: FakeIssuer) -> Any:
    model = ModelSettings(app=None, candidate=CANDIDATE, max_pixels=4096, max_steps=50)
    acme.services.reconfigure(GatewaySettings(models={"shapes": model}))
    acme.generators.apps.add(CANDIDATE)

    def ask(app: str = CANDIDATE, kind: str = "picture", **body: Any) -> Any:
        headers = issuer.bearer(Role.OPERATOR)
        return client.post("/privacy/v1/models/shapes/trial", json={"app": app, "kind": kind, **body}, headers=headers)

    return ask


def test_a_candidate_is_tried_and_callers_do_not_reach_it(tried: Any, client: TestClient, acme: TenantRig) -> None:
    answer = tried(prompts=[{"prompt": "a", "seed": 3}]).json()
    assert (answer["ok"], answer["pictures"], answer["right"], len(answer["hashes"])) == (True, 1, 1, 1)
    wish = client.post("/v1/images/generations", json={"prompt": "a", "user": "u"}, headers=acme.bearer)
    assert (wish.status_code, wish.json()["error"]["code"]) == (503, "model_unavailable")


def test_one_that_does_not_answer_is_an_answer(tried: Any, acme: TenantRig) -> None:
    acme.generators.apps.discard(CANDIDATE)
    assert tried().json()["ok"] is False


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        pytest.param({"app": "bolt.model.shapes.ffff0000"}, 404, id="another tenant's revision"),
        pytest.param({"kind": "golden"}, 400, id="a golden trial without hashes"),
        pytest.param({"prompts": [{"prompt": "a"}] * 9}, 400, id="nine prompts"),
        pytest.param({"kind": "beauty"}, 400, id="an unknown kind"),
    ],
)
def test_what_is_refused(tried: Any, asked: dict[str, Any], status: int) -> None:
    assert tried(**asked).status_code == status
