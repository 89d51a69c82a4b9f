"""The privacy domain of Imagint: keys that forget, sealed records, purposes, evidence.

Nothing here may import Kubernetes, Ray, torch or a web framework: the operator and the data plane both stand on
this package, and an auditor installs it alone.
"""
