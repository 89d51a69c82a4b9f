"""The operator at scale: how fast it converges, what it costs at rest, how soon it tells, how it is followed."""
