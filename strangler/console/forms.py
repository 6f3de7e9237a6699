"""The forms of our pages, read and known to be ours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from aiohttp import web

from strangler.console.problems import Refusal
from strangler.console.session import FIELD, SESSIONS, session_of

#: The largest form without files, in bytes; and with files.
_FIELDS: Final = 64 * 1024
FILES: Final = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Form:
    """What was filled in, and what was chosen of files: bytes by the name of the field, b"" where none was."""

    fields: dict[str, str]
    files: dict[str, bytes]


async def read_form(request: web.Request, largest: int = _FIELDS) -> Form:
    """A form of ours. Raises Refusal for a form of somebody else's, or of before a restart."""
    posted = await request.clone(client_max_size=largest).post()
    fields = {key: value for key, value in posted.items() if isinstance(value, str)}
    if not request.app[SESSIONS].is_our_form(session_of(request), fields.get(FIELD, "")):
        raise Refusal(
            403,
            "this form is not of a page of this console, or of one from before its restart: load it again",
        )
    files = {key: value.file.read() for key, value in posted.items() if isinstance(value, web.FileField)}
    return Form(fields, files)
