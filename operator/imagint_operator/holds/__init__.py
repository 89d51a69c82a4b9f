"""`LegalHold` → its status, and a word to whoever waits for it. The holding itself is done where things are forgotten."""
