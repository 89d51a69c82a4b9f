"""Ray Serve, as the operator uses it: one writer of the full set of applications, rendered from CRs."""
