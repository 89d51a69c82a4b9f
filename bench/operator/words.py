"""The standing text of the operator's section: how it is measured, beside what, and what a figure does not say."""

from __future__ import annotations

from typing import Final

HOW: Final = """\
A real etcd, apiserver, controller-manager and Vault; the operator as its own process, as it is deployed; Ray Serve,
the Gateways and the prober are the small true fakes of the tests, in a process of their own. All of them, and the
client that applies and watches, share the two cores: what the operator reaches is what is left of them. Times are
taken by that client, which watches the apiserver and knows nothing of the operator's caches. Each tenant has two
models (the bundled one, whose revisions pass their gate of quality) and five requests: Access and Export, which are
recorded and wait (`NotYetExecutable`), Restrict and Object, carried out, and one Erase with its whole protocol, from
the hold check to the signed certificate. One run, no repetition; this section is written by the command."""

PARTS: Final = """\
*Tenants*: all are applied, then the operator is started for the first time: the seconds contain its start. *Models*:
applied to the operator at work. *Requests*: the operator is killed, all requests pile up, another is started; the
rate counts from the first status. A look is one observe → plan → execute → status of one object: `reconciles_per_s`
is all looks of the three ÷ all their seconds. *At rest*: nothing is asked for; writes are the operator's own, by its
counter `imagint_operator_api_requests`, renewals of its Lease left out and told beside; etcd's revisions and the
apiserver's `apiserver_request_total` say what everybody wrote. Processor time and memory are of /proc. *A change*:
from before the request of the client that changes a quota or makes a request, to the watch event with the status that
speaks about it. *Restart*: kill -9 and a start, until every object was looked at. *Takeover*: two replicas; from the
end of the leader to the first status that the other wrote, of a change made just after. A leader that is killed on
the same machine is known to be gone by its process id; the one that is stopped (SIGSTOP) is followed when its Lease
has run out, as is one whose machine is lost."""

MINIMUM: Final = """\
Counted by hand for a new tenant: the finalizer, the namespace, its 11 walls (a quota, limits, four network policies,
a ServiceAccount, a Role, three RoleBindings) and two statuses, because people wait for two moments: when the tenant
is Ready, and when its Gateway, which Ray starts after that, answers: 15. (One status, which would tell both late:
14.) The measured writes are all of the operator's, divided by the tenants, but for Events, which have a row of their
own."""

BESIDE: Final = """\
**Beside published rates.** Derived from their own documents (objects ÷ seconds), *not measured here*, on their
hardware and with their objects: a Kueue workload, a RayCluster whose pods run, a Kustomization, a certificate are
each another amount of work than a tenant with 14 objects or an erasure. They say which order of magnitude is
respectable, no more. The naive alternative is measured in this run: the same operator, started in place of ours,
whose controllers read every object from the apiserver instead of from its caches."""

PUBLISHED: Final = (
    ("Kueue, 15,000 workloads in 30 queues (envtest)", 43.0),
    ("KubeRay 1.1.1, 1,000 RayClusters ready (GKE)", 3.9),
    ("KubeRay 1.1.1, 10,000 RayClusters ready (GKE)", 6.6),
    ("Flux 2.9, 1,000 Kustomizations", 4.0),
    ("cert-manager, 500 certificates", 1.2),
)
