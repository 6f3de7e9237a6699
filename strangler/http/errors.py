"""What can go wrong with an upstream, as one small tree. Each error knows the status a caller gets for it."""

from __future__ import annotations


class UpstreamError(Exception):
    """An upstream gave no answer, or not a whole one. `status` is what the caller is told (RFC 9110 section 15.6)."""

    status = 502
    what = "gave no answer"


class ConnectFailed(UpstreamError):
    """No connection could be made: refused, unreachable, or no such name."""

    what = "could not be reached"


class TimedOut(UpstreamError):
    """The upstream was silent for longer than its timeout, at whatever point."""

    status = 504
    what = "did not answer in time"


class NoConnectionFree(UpstreamError):
    """Every connection the pool may open was in use for the whole of the timeout."""

    status = 503
    what = "has no connection free"


class OutOfOrder(UpstreamError):
    """Nobody was asked: every endpoint of the upstream has failed too often of late."""

    status = 503
    what = "is out of order"


class Malformed(UpstreamError):
    """What came back is not HTTP/1.1, or more of it than we accept."""

    what = "sent an answer that is not valid HTTP"


class CutShort(UpstreamError):
    """The upstream closed the connection before its answer was complete."""

    what = "closed the connection before its answer was complete"


class Stale(CutShort):
    """A kept-alive connection was closed before the first byte of an answer: the request may be sent again."""
