"""`BreachIncident` → the 72-hour clock, what is owed to whom, and a draft of the report to the authority."""
