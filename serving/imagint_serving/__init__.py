"""The data plane of Imagint: the Gateway of each tenant and the Generator of each model.

Importing this package, or its `app`, `config`, `errors`, `transport`, `gateway` and `projector` modules, must
stay light: torch and diffusers belong to the Generator's process alone.
"""
