"""The wire: header fields, and connections to upstreams. Knows nothing of routes, sides or shadows."""
