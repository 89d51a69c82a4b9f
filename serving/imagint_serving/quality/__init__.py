"""Whether a model's pictures are good enough to serve. Sees pictures and what was asked for; keeps and logs neither."""
