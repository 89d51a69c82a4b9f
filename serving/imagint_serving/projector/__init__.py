"""The projector: hands each tenant's short-lived identity and API-key digests to its Gateway, by file.

It plays the part that kubelet plays for a pod of the tenant's own: the operator may neither read Secrets nor mint
tokens, and the Gateway has no access to the apiserver. It must never log, or keep on disk in the clear, a key that
a tenant's callers present: only digests of those leave it.
"""
