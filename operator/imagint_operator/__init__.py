"""The control plane: it keeps what the custom resources say true, and never sees personal data."""
