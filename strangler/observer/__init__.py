"""The process beside the gateway: it sends the shadows, compares, keeps the evidence and serves the admin API.
If it dies, callers notice nothing; what was under way is booked as skipped when it is back."""
