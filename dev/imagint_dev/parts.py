"""The parts of the stack as data: command line, environment, what must be ready before, how to tell that it is ready.

Pure: nothing is started, read or written here, so that a test can look at every flag.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from imagint_dev.binaries import path_of
from imagint_dev.probes import FileProbe, HttpProbe, Probe
from imagint_dev.processes import PART_MARK, STACK_MARK
from imagint_dev.site import CONTROLLER, PROBER, PROJECTOR, PROVISIONER, SHREDDER, Site

ISSUER = "https://kubernetes.default.svc.cluster.local"
CONTROLLERS = (
    "clusterrole-aggregation-controller",
    "garbage-collector-controller",
    "namespace-controller",
    "resourcequota-controller",
    "root-ca-certificate-publisher-controller",
    "serviceaccount-controller",
    "serviceaccount-token-controller",
    "validatingadmissionpolicy-status-controller",
)
"""Those that act on objects; no pod runs here, so nothing schedules or scales."""


@dataclass(frozen=True, slots=True)
class Part:
    """One process that is kept running."""

    name: str
    argv: tuple[str, ...]
    needs: tuple[str, ...]
    probe: Probe
    environment: Mapping[str, str] = field(default_factory=dict)
    port: int | None = None
    grace: float = 10.0
    fresh: Path | None = None
    """A folder that is made empty before each start."""


def plan(site: Site, base: Mapping[str, str]) -> tuple[Part, ...]:
    """The parts that this stack runs itself; `base` is the environment that all of them get."""
    makers = (_etcd, _apiserver, _controller_manager, _vault, _ray, _projector, _prober, _operator)
    return tuple(_dress(made, site, base) for made in (make(site) for make in makers) if made.name in started(site))


def started(site: Site) -> frozenset[str]:
    """The names of the parts that this stack runs itself."""
    return site.options.started()


def _dress(part: Part, site: Site, base: Mapping[str, str]) -> Part:
    marks = {STACK_MARK: site.identity, PART_MARK: part.name}
    extra = site.options.environment.get(part.name, {})
    return replace(part, environment={**base, **part.environment, **extra, **marks})


def _etcd(site: Site) -> Part:
    pki, port = site.folder.pki, site.ports["etcd"]
    client, peer = f"https://127.0.0.1:{port}", f"https://127.0.0.1:{site.ports['etcd_peer']}"
    argv = (
        str(path_of("etcd")),
        "--name=imagint",
        f"--data-dir={site.folder.root / 'etcd'}",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=imagint={peer}",
        "--client-cert-auth",
        f"--trusted-ca-file={pki / 'ca.crt'}",
        f"--cert-file={pki / 'etcd.crt'}",
        f"--key-file={pki / 'etcd.key'}",
        "--peer-client-cert-auth",
        f"--peer-trusted-ca-file={pki / 'ca.crt'}",
        f"--peer-cert-file={pki / 'etcd.crt'}",
        f"--peer-key-file={pki / 'etcd.key'}",
        "--heartbeat-interval=50",
        "--election-timeout=250",
        "--auto-compaction-retention=5m",
        "--quota-backend-bytes=1073741824",
        "--log-level=warn",
    )
    probe = HttpProbe(f"{client}/health", authority=pki / "ca.crt", client=pki / "apiserver-etcd")
    return Part("etcd", argv, (), probe, port=port)


def _apiserver(site: Site) -> Part:
    pki, port = site.folder.pki, site.ports["api"]
    argv = (
        str(path_of("kube-apiserver")),
        "--bind-address=127.0.0.1",
        "--advertise-address=127.0.0.1",
        f"--secure-port={port}",
        f"--etcd-servers=https://127.0.0.1:{site.ports['etcd']}",
        f"--etcd-cafile={pki / 'ca.crt'}",
        f"--etcd-certfile={pki / 'apiserver-etcd.crt'}",
        f"--etcd-keyfile={pki / 'apiserver-etcd.key'}",
        f"--encryption-provider-config={pki / 'encryption.json'}",
        f"--tls-cert-file={pki / 'apiserver.crt'}",
        f"--tls-private-key-file={pki / 'apiserver.key'}",
        f"--client-ca-file={pki / 'ca.crt'}",
        "--anonymous-auth=false",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction,PodSecurity,ValidatingAdmissionPolicy,ResourceQuota,LimitRanger",
        "--endpoint-reconciler-type=none",
        "--service-cluster-ip-range=10.96.0.0/16",
        f"--service-account-issuer={ISSUER}",
        f"--service-account-key-file={pki / 'service-account.pub'}",
        f"--service-account-signing-key-file={pki / 'service-account.key'}",
        "--service-account-extend-token-expiration=false",
        "--profiling=false",
    )
    probe = HttpProbe(f"{site.api}/readyz", authority=pki / "ca.crt", client=pki / "supervisor")
    return Part("apiserver", argv, ("etcd",), probe, port=port)


def _controller_manager(site: Site) -> Part:
    pki, port = site.folder.pki, site.ports["controller_manager"]
    config = site.folder.root / "run" / "controller-manager.kubeconfig"
    argv = (
        str(path_of("kube-controller-manager")),
        f"--kubeconfig={config}",
        f"--authentication-kubeconfig={config}",
        f"--authorization-kubeconfig={config}",
        "--authorization-always-allow-paths=/healthz",
        "--bind-address=127.0.0.1",
        f"--secure-port={port}",
        f"--tls-cert-file={pki / 'controller-manager.crt'}",
        f"--tls-private-key-file={pki / 'controller-manager.key'}",
        "--leader-elect=false",
        f"--controllers={','.join(CONTROLLERS)}",
        "--use-service-account-credentials=true",
        f"--service-account-private-key-file={pki / 'service-account.key'}",
        f"--root-ca-file={pki / 'ca.crt'}",
        "--kube-api-qps=200",
        "--kube-api-burst=400",
        "--concurrent-namespace-syncs=20",
        "--profiling=false",
    )
    probe = HttpProbe(f"https://127.0.0.1:{port}/healthz", authority=pki / "ca.crt")
    return Part("controller-manager", argv, ("apiserver",), probe, port=port)


def _vault(site: Site) -> Part:
    port = site.ports["vault"]
    argv = (
        str(path_of("vault")),
        f"-listen=127.0.0.1:{port}",
        f"-storage={site.folder.vault / 'storage'}",
        "-log-level=warn",
    )
    return Part("vault", argv, (), HttpProbe(f"{site.vault}/v1/sys/seal-status"), port=port)


def _ray(site: Site) -> Part:
    argv = (
        sys.executable,
        "-m",
        "ray.scripts.scripts",
        "start",
        "--head",
        "--block",
        f"--port={site.ports['ray_gcs']}",
        "--dashboard-host=127.0.0.1",
        f"--dashboard-port={site.ports['ray_dashboard']}",
        f"--dashboard-agent-listen-port={site.ports['ray_agent']}",
        "--min-worker-port=0",
        "--max-worker-port=0",
        "--include-dashboard=true",
        "--include-log-monitor=false",
        "--no-monitor",
        "--disable-usage-stats",
        f"--num-cpus={site.options.ray_cpus}",
        f"--object-store-memory={site.options.object_store_mib * 2**20}",
        f"--temp-dir={site.ray_folder}",
    )
    environment = {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(site.ray_token),
        # Without this Ray replaces 127.0.0.1 by the machine's address and listens on all of them.
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
        "RAY_START_HOOK": "imagint_dev.ray_start.settle",
        # What proxy, Gateway and Generator exchange goes over gRPC, never through shared memory or spill files.
        "RAY_SERVE_USE_GRPC_BY_DEFAULT": "1",
        "RAY_SERVE_PROXY_USE_GRPC": "1",
        "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "0",
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
        "SPT_NOENV": "1",  # process titles leave /proc/PID/environ alone, by which processes are found
    }
    probe = HttpProbe(f"{site.ray_dashboard}/api/version", token=site.ray_token)
    return Part("ray", argv, (), probe, environment, site.ports["ray_dashboard"], 5.0, site.scratch)


def _projector(site: Site) -> Part:
    environment = {
        "IMAGINT_KUBECONFIG": str(site.folder.identity(PROJECTOR) / "kubeconfig"),
        "IMAGINT_HANDOVER": str(site.folder.handover),
    }
    argv = (sys.executable, "-m", "imagint_serving.projector")
    return Part("projector", argv, ("identities",), FileProbe(site.folder.handover / "platform.json"), environment)


def _prober(site: Site) -> Part:
    own, port = site.folder.identity(PROBER), site.ports["prober"]
    environment = {
        "IMAGINT_VAULT_ADDR": site.vault,
        "IMAGINT_VAULT_TOKEN_FILE": str(own / "vault-token"),
        "IMAGINT_SERVE_URL": site.serve,
        "IMAGINT_DATAPLANE_TOKEN_FILE": str(own / "dataplane-token"),
        "IMAGINT_PLATFORM_FILE": str(site.folder.handover / "platform.json"),
        "IMAGINT_PROBES_DIR": str(site.folder.root / "probes"),
        "IMAGINT_PROBER_PORT": str(port),
    }
    # Any answer will do: what it says is for the operator alone.
    probe = HttpProbe(site.prober, good=tuple(range(200, 500)))
    return Part(
        "prober", (sys.executable, "-m", "imagint_serving.prober"), ("identities", "keys"), probe, environment, port
    )


def _operator(site: Site) -> Part:
    own, port = site.folder.identity(CONTROLLER), site.ports["operator_metrics"]
    environment = {
        "IMAGINT_KUBECONFIG": str(own / "kubeconfig"),
        "IMAGINT_PROVISIONER_KUBECONFIG": str(site.folder.identity(PROVISIONER) / "kubeconfig"),
        "IMAGINT_SHREDDER_KUBECONFIG": str(site.folder.identity(SHREDDER) / "kubeconfig"),
        "IMAGINT_VAULT_ADDR": site.vault,
        "IMAGINT_VAULT_TOKEN_FILE": str(own / "vault-token"),
        "IMAGINT_SHREDDER_VAULT_TOKEN_FILE": str(site.folder.identity(SHREDDER) / "vault-token"),
        "IMAGINT_RAY_DASHBOARD": site.ray_dashboard,
        "IMAGINT_RAY_TOKEN_FILE": str(site.ray_token),
        "IMAGINT_SERVE_URL": site.serve,
        "IMAGINT_PROBER_URL": site.prober,
        "IMAGINT_DATAPLANE_TOKEN_FILE": str(own / "dataplane-token"),
        "IMAGINT_PROBER_TOKEN_FILE": str(own / "prober-token"),
        "IMAGINT_HANDOVER": str(site.folder.handover),
        "IMAGINT_DATA_ROOT": str(site.folder.root / "data"),
        "IMAGINT_COPIES_ROOT": str(site.folder.root / "copies"),
        "IMAGINT_MODELS_ROOT": str(site.folder.root / "models"),
        "IMAGINT_METRICS_PORT": str(port),
    }
    # Not "serve": the supervisor's first PUT is on its way long before this process has found its feet.
    needs = ("identities", "keys", "ray")
    probe = HttpProbe(f"http://127.0.0.1:{port}/metrics")
    return Part("operator", (sys.executable, "-m", "imagint_operator"), needs, probe, environment, port)


def layers(parts: tuple[Part, ...]) -> list[list[str]]:
    """The order in which to stop: first the parts that nobody needs, the ones that all stand on last."""
    order = (("operator", "prober", "projector"), ("ray", "controller-manager", "vault"), ("apiserver",), ("etcd",))
    present = {part.name for part in parts}
    return [found for layer in order if (found := [name for name in layer if name in present])]
