"""What people and scripts see of a running proxy: the admin API, and a page for a browser."""

from strangler.console.admin import make_app
from strangler.console.panel import Panel

__all__ = ["Panel", "make_app"]
