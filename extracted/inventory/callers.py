"""Whether a caller has logged in: by the monolith's token, or by asking the monolith about a session.

Stock belongs to nobody in particular, so who it is that has logged in makes no difference here.
"""

import asyncio
import logging
import re
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from functools import wraps
from hashlib import sha256

import aiohttp
from aiohttp import web

from extracted.inventory import tokens
from extracted.inventory.problems import LoginUnknown, NotLoggedIn
from extracted.inventory.tokens import Claims, KeySource

PATIENCE = 1.0  # seconds that the monolith may take to answer
AT_ONCE = 16  # questions to the monolith
MOST_KNOWN = 10_000  # sessions that are remembered, until their tokens are over
STRANGER_FOR = 5  # seconds for which a session that the monolith does not know is not asked about again

_log = logging.getLogger(__name__)

_SESSION = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Login:
    """How callers are recognised: the keys of the tokens, and the monolith's URL to ask about sessions, or None."""

    keys: KeySource
    monolith: str | None


class Callers:
    """Recognises callers. Without a `login`, everybody may read everything."""

    def __init__(self, login: Login | None, session: aiohttp.ClientSession) -> None:
        self._login = login
        self._sessions = Sessions(login, session) if login and login.monolith else None

    async def check(self, request: web.Request) -> None:
        """Let callers through who may read. Raises NotLoggedIn, and LoginUnknown when the monolith does not say."""
        if self._login is None:
            return
        token = _bearer(request)
        if token is None:
            token = request.cookies.get("shop_token", "")
        claims = tokens.read(self._login.keys(), token, int(time.time()))
        if claims is None and self._sessions is not None:
            cookie = request.cookies.get("session", "")
            claims = await self._sessions.find(cookie) if _SESSION.fullmatch(cookie) else None
        if claims is None:
            raise NotLoggedIn("log in first")

    def check_shop(self, request: web.Request) -> None:
        """Let nobody through but the shop's own parts, by a token that no customer has. Raises NotLoggedIn."""
        if self._login is None:
            return
        if not tokens.is_of_shop(self._login.keys(), _bearer(request) or "", int(time.time())):
            raise NotLoggedIn("this is for the shop itself, by a token of its own")


class Sessions:
    """Asks the monolith whose a session is; each session once at a time, and not again before its token is over."""

    def __init__(self, login: Login, client: aiohttp.ClientSession) -> None:
        self._keys = login.keys
        self._url = f"{login.monolith}/session/token"
        self._client = client
        self._known: OrderedDict[bytes, tuple[Claims | None, float]] = OrderedDict()
        self._answers = True  # as far as is known
        self._asking: dict[bytes, asyncio.Task[Claims | None]] = {}

    async def find(self, cookie: str) -> Claims | None:
        """Give what the monolith says of a session: None when there is none. Raises LoginUnknown."""
        name = sha256(cookie.encode()).digest()  # so that no session lies about in memory
        claims, until = self._known.get(name, (None, 0.0))
        if time.time() < until:
            return claims
        task = self._asking.get(name)
        if task is None:
            if len(self._asking) >= AT_ONCE:
                raise LoginUnknown("too many callers have just logged in")
            task = self._asking[name] = asyncio.create_task(self._ask(name, cookie))
            task.add_done_callback(lambda _: self._asking.pop(name))
        return await asyncio.shield(task)  # a caller who leaves takes the answer from nobody else

    async def _ask(self, name: bytes, cookie: str) -> Claims | None:
        try:
            claims = await self._answer(cookie)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError, TypeError, KeyError) as error:
            if self._answers:  # told once, and not for each caller
                _log.warning(
                    "%s does not say who has logged in: %s", self._url, str(error) or type(error).__name__
                )
            self._answers = False
            raise LoginUnknown("the shop does not say who has logged in") from error
        self._answers = True
        self._known[name] = (claims, claims.expires if claims else time.time() + STRANGER_FOR)
        self._known.move_to_end(name)
        while len(self._known) > MOST_KNOWN:
            self._known.popitem(last=False)
        return claims

    async def _answer(self, cookie: str) -> Claims | None:
        """Raises ValueError, TypeError or KeyError when the answer is not one of the monolith's."""
        async with self._client.post(
            self._url, headers={"Cookie": f"session={cookie}"}, allow_redirects=False
        ) as response:
            if response.status == 401:
                return None
            if response.status != 200:
                raise ValueError
            answer = await response.json()
        # The monolith is believed on its signature, as everybody else is.
        claims = tokens.read(self._keys(), answer["token"], int(time.time()))
        if claims is None:
            raise ValueError
        return claims


CALLERS = web.AppKey("callers", Callers)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def shop_only(handler: Handler) -> Handler:
    """Lock a door: with a login, it answers to the shop's own parts only, and reads nothing of what others send."""

    @wraps(handler)
    async def behind(request: web.Request) -> web.StreamResponse:
        request.app[CALLERS].check_shop(request)
        return await handler(request)

    return behind


def _bearer(request: web.Request) -> str | None:
    """The token of the Authorization field (RFC 6750 section 2.1), if it has one."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def lifetime(login: Login | None) -> Callable[[web.Application], AsyncIterator[None]]:
    """Recognise callers as long as an application lives."""

    async def context(app: web.Application) -> AsyncIterator[None]:
        # A new connection each time: a kept one may be closed by a monolith that has been restarted.
        async with aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=AT_ONCE, force_close=True),
            timeout=aiohttp.ClientTimeout(total=PATIENCE),
            cookie_jar=aiohttp.DummyCookieJar(),
        ) as client:
            app[CALLERS] = Callers(login, client)
            yield

    return context
