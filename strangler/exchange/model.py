"""The exchange: one request and the answer the caller got, frozen."""

from __future__ import annotations

from typing import Literal

import msgspec

Headers = tuple[tuple[bytes, bytes], ...]


class Answer(msgspec.Struct, frozen=True, array_like=True):
    """An answer as it came from a side: undecoded body, headers in their order and case."""

    status: int
    headers: Headers
    body: bytes
    milliseconds: float  # from sending the request to the answer's last byte


class Exchange(msgspec.Struct, frozen=True, array_like=True):
    """One request and the answer the caller got. `at` is Unix time in seconds, when the request came in."""

    route: str
    side: Literal["legacy", "extracted"]  # the side that answered the caller
    method: str
    target: str  # path and query, byte for byte as the caller sent them (latin-1)
    headers: Headers  # end-to-end headers and the forwarding ones, before either side's own edits
    body: bytes
    caller: int  # 64-bit hash of the identity: enough to count callers, not enough to name one
    at: float
    answer: Answer
