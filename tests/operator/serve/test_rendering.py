"""What is rendered piece by piece is what would be rendered as a whole; at rest it is the very same mapping."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, given
from hypothesis import settings as checks
from hypothesis import strategies as st

from imagint_operator.api.models import ModelDeployment
from imagint_operator.api.tenants import Tenant
from imagint_operator.serve.applications import render
from imagint_operator.serve.rendering import Rendered
from imagint_operator.settings import Settings

KEYED = {"key": {"name": "tenant-x", "version": 1}}
WORLD = st.dictionaries(
    st.sampled_from(["ada", "bob", "cyd"]),
    st.tuples(st.booleans(), st.integers(1, 2), st.sets(st.sampled_from(["one", "two"]))),
)


@given(worlds=st.lists(WORLD, max_size=5))
@checks(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
def test_piece_by_piece_is_as_a_whole(
    worlds: list[dict[str, Any]],
    settings: Settings,
    make_tenant: Callable[..., Tenant],
    make_model: Callable[..., ModelDeployment],
) -> None:
    rendered = Rendered(settings)
    for world in worlds:
        tenants = [
            make_tenant(name, status=KEYED if keyed else {}, spec={"quotas": {"requestsPerMinute": quota}})
            for name, (keyed, quota, _) in world.items()
        ]
        models = [make_model(model, name) for name, (_, _, theirs) in world.items() for model in sorted(theirs)]
        found = rendered.of(tenants, models)
        assert list(found.values()) == list(render(tenants, models, settings))
        assert rendered.of(tenants, models) is found


def test_a_status_that_changes_no_application_changes_no_mapping(
    settings: Settings, make_tenant: Callable[..., Tenant]
) -> None:
    rendered = Rendered(settings)
    before = rendered.of([make_tenant(status=KEYED)], [])
    assert rendered.of([make_tenant(status=KEYED | {"observedGeneration": 7})], []) is before
