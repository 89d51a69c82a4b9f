"""The Gateway: a tenant's one door, serving the Images API to its callers and the privacy API to the operator.

Plaintext prompts and images exist only in this process's memory (and the Generator's). Nothing here may log a body, an
identifier or a key, and nothing here may import torch or diffusers.
"""
