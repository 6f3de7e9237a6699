"""Services taken out of the legacy monolith, each with a database of its own, sharing no code."""
