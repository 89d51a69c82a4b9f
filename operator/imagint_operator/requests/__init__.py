"""`DataSubjectRequest` → the erasure protocol, one recorded step after the other, and a certificate at its end."""
