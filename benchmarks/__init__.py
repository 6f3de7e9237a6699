"""nginx, HAProxy, Envoy and strangler in front of the same upstream, in one run (docs/performance.md)."""
