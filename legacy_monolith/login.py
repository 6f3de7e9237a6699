"""Logging in and out: from an e-mail address and a password to a session."""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from legacy_monolith import accounts, passwords, sessions
from legacy_monolith.attempts import Attempts
from legacy_monolith.errors import Forbidden, TooMany, TooManyAttempts
from legacy_monolith.sessions import Session

AT_ONCE = 2  # passwords that are hashed at a time, each in 16 MiB and a fifth of a second
WAITING = 16  # passwords that may wait for that

T = TypeVar("T")
#: Does something with the database's writer on the thread that owns it: `await write(function, *arguments)`.
Write = Callable[..., Awaitable[T]]


class Desk:
    """Where people log in. Bounds what that may cost the shop, and how often a password may be tried."""

    def __init__(self, reader: sqlite3.Connection, write: Callable[..., Awaitable[Session]]) -> None:
        self._reader = reader
        self._write = write
        self._attempts = Attempts()
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="passwords")
        self._waiting = 0

    async def log_in(self, email: str, password: str, previous: str | None, now: int) -> Session:
        """Begin a session; `previous` is the session cookie that the caller had, and ends.

        Raises Forbidden for a wrong password or an unknown address, TooManyAttempts, and TooMany when too many
        log in at once.
        """
        name = email.strip().lower()[: passwords.LONGEST]
        account_id = accounts.id_for_email(self._reader, name)
        kept = passwords.of(self._reader, account_id) if account_id is not None else None
        if self._waiting >= AT_ONCE + WAITING:
            raise TooMany("too many people log in just now", retry_after=2)
        if wait := self._attempts.begin(name, now):
            raise TooManyAttempts(f"too many attempts: try again in {wait} seconds", retry_after=wait)
        right = await self._matches(password[: passwords.LONGEST], kept or passwords.NOBODY)
        if account_id is None or kept is None or not right or len(password) > passwords.LONGEST:
            raise Forbidden("this e-mail address and this password do not belong together")
        self._attempts.succeeded(name)
        return await self._write(sessions.begin, account_id, previous, now)

    def close(self) -> None:
        """Let the threads go."""
        self._threads.shutdown()

    async def _matches(self, password: str, kept: str) -> bool:
        self._waiting += 1
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._threads, passwords.matches, password, kept)
        finally:
            self._waiting -= 1
