"""`DataProcessor` → whether erasures can be passed on to it."""
