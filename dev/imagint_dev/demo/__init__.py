"""`make demo`: the whole promise on real parts, as a story a person enjoys reading.

Nothing here is faked: it applies manifests with kubectl, makes images through the official `openai` client, takes a
backup, erases a person with `kubectl apply`, and tries to read them afterwards in every way it knows.
"""
