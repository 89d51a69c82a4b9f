"""The apiserver, as the operator uses it: reads, server-side apply, and nothing written when nothing changed."""
