"""The manifests the demo applies, as text: what a platform engineer, a tenant and a privacy officer would write."""

from __future__ import annotations

TENANT = """\
apiVersion: imagint.ai/v1alpha1
kind: Tenant
metadata: {{name: {tenant}}}
spec:
  displayName: {title}
  residency: {{region: eu-central}}
  compute: Shared
  quotas: {{requestsPerMinute: 600, imagesPerDay: 10000}}
  apiKeys:
  - name: app
    secretRef: {{name: app-api-key, key: token}}
"""

API_KEY = """\
apiVersion: v1
kind: Secret
metadata: {{name: app-api-key, namespace: tenant-{tenant}}}
stringData: {{token: {token}}}
"""

MODEL = """\
apiVersion: imagint.ai/v1alpha1
kind: ModelDeployment
metadata: {{name: shapes, namespace: tenant-{tenant}}}
spec:
  source: {{type: Bundled, name: shapes}}
  replicas: {{min: 1, max: 1}}
  limits: {{pixels: 65536, steps: 50, imagesPerRequest: 4}}
"""

ERASURE = """\
apiVersion: imagint.ai/v1alpha1
kind: DataSubjectRequest
metadata: {{name: {name}, namespace: tenant-{tenant}}}
spec:
  type: Erase
  subject: {subject}        # a pseudonym: the cluster never sees a name
  regulation: GDPR
  receivedAt: "{received_at}"
  verification: {{method: AccountSession, at: "{received_at}"}}
"""
