"""strangler: a reverse proxy that takes a legacy monolith apart, route by route, on evidence."""

__version__ = "0.1.0"
