"""A transparency log's mathematics and formats: Merkle trees, tiles, signed notes, checkpoints, proofs, entries.

Pure: bytes, keys and the time come in; hashes, notes and named refusals come out. No file, no network, no clock.
What is written here is what the public specifications say (RFC 9162, C2SP), so that anybody's client reads our log.
"""
