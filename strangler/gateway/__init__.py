"""The process callers meet: it matches, assigns a side, forwards and streams. It never compares and never waits
for a shadow, a database or the observer."""
