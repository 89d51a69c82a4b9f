"""The prober: looks whether an erasure happened, with an identity of its own.

It decides nothing and erases nothing. It keeps the old wrapped root and canaries from before, tries them again after,
and says what it saw. It can never read a plaintext of a tenant (ADR 2), and it logs no handle.
Importing it needs no Ray and no torch. Start with `python -m imagint_serving.prober`.
"""
