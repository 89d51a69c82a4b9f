"""`LegalHold` → its status, and a word to whoever waits for it. What it holds is held elsewhere."""
