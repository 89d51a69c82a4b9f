"""A path becomes a template that holds no name, whatever the path."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagint_operator.telemetry.templates import api_call, peer_call

IMAGINT = "/apis/imagint.ai/v1alpha1"
NAMES = st.from_regex(r"[a-z0-9][a-z0-9-]{11,40}z9", fullmatch=True)


@pytest.mark.parametrize(
    ("method", "path", "verb", "resource", "template"),
    [
        pytest.param("GET", f"{IMAGINT}/tenants", "list", "tenants", f"{IMAGINT}/tenants", id="list"),
        pytest.param("GET", f"{IMAGINT}/tenants/acme", "get", "tenants", f"{IMAGINT}/tenants/{{name}}", id="get"),
        pytest.param(
            "PATCH", f"{IMAGINT}/namespaces/tenant-acme/datasubjectrequests/ada/status", "patch",
            "datasubjectrequests/status", f"{IMAGINT}/namespaces/{{namespace}}/datasubjectrequests/{{name}}/status",
            id="status",
        ),
        pytest.param("GET", "/api/v1/namespaces/tenant-acme", "get", "namespaces", "/api/v1/namespaces/{name}",
                     id="a namespace itself"),
        pytest.param("PATCH", "/api/v1/namespaces/tenant-acme/finalize", "patch", "namespaces/finalize",
                     "/api/v1/namespaces/{name}/finalize", id="its subresource"),
        pytest.param("POST", "/api/v1/namespaces/tenant-acme/configmaps", "create", "configmaps",
                     "/api/v1/namespaces/{namespace}/configmaps", id="create"),
        pytest.param("DELETE", f"{IMAGINT}/tenants/acme?x=y", "delete", "tenants", f"{IMAGINT}/tenants/{{name}}",
                     id="a query is dropped"),
    ],
)  # fmt: skip
def test_requests_to_the_apiserver(method: str, path: str, verb: str, resource: str, template: str) -> None:
    call = api_call(method, path)
    assert (call.verb, call.resource, call.template) == (verb, resource, template)


@pytest.mark.parametrize(
    ("path", "operation", "template", "tenant"),
    [
        pytest.param("/acme/privacy/v1/erasures", "erasures", "/{tenant}/privacy/v1/erasures", "acme", id="fence"),
        pytest.param("/acme/privacy/v1/erasures/u-1/commit", "erasures/commit",
                     "/{tenant}/privacy/v1/erasures/{id}/commit", "acme", id="a step"),
        pytest.param("/acme/privacy/v1/models/shapes/probe", "models/probe",
                     "/{tenant}/privacy/v1/models/{id}/probe", "acme", id="a model"),
        pytest.param("/probes/v1/u-1/before", "before", "/probes/v1/{id}/before", "", id="the prober"),
        pytest.param("/probes/v1/tenants/u-1/after", "tenants/after", "/probes/v1/tenants/{id}/after", "",
                     id="the prober, of a tenant's end"),
        pytest.param("/probes/privacy/v1/status", "status", "/{tenant}/privacy/v1/status", "probes",
                     id="a tenant with an odd name"),
        pytest.param("/acme/privacy/v1/tomorrow", "other", "/{tenant}/privacy/v1/{id}", "acme",
                     id="nobody knows it yet"),
    ],
)  # fmt: skip
def test_requests_to_the_data_plane(path: str, operation: str, template: str, tenant: str) -> None:
    call = peer_call(path)
    assert (call.operation, call.template, call.tenant) == (operation, template, tenant)


@given(NAMES, NAMES, NAMES)
def test_no_name_is_left_in_a_template(tenant: str, request: str, other: str) -> None:
    kube = api_call("GET", f"{IMAGINT}/namespaces/tenant-{tenant}/datasubjectrequests/{request}")
    peer = peer_call(f"/{tenant}/privacy/v1/subjects/{other}/holdings/{request}")
    for text in (kube.template, kube.resource, peer.template, peer.operation):
        assert not any(name in text for name in (tenant, request, other))
