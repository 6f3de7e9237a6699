"""Entity tags: so that a caller can ask whether something has changed (RFC 9110 section 8.8.3)."""

from hashlib import sha256

from aiohttp import web


def add(request: web.Request, response: web.Response) -> None:
    """Give the answer an entity tag, and leave its body out when the caller has it already."""
    assert isinstance(response.body, bytes)
    tag = sha256(response.body).hexdigest()[:16]
    response.etag = tag
    if any(known.value in (tag, "*") for known in request.if_none_match or ()):
        response.body = None
        response.set_status(304)
