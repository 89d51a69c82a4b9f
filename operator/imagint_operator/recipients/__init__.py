"""Those who received personal data: which of them an erasure concerns, how each is told, what each answered."""
