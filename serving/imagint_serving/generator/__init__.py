"""The Generator: one model, loaded once, making images for whoever holds a handle to it.

Importing this package or its `deployment` must stay light: torch and diffusers are imported inside the replica only.
"""
