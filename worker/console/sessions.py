"""Sessions of the console: the cookie, the console's token, and the CSRF token of each form."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
import time
from collections import OrderedDict, deque
from dataclasses import dataclass

import anyio

COOKIE = "copydesk_session"
HOURS = 12
_MAX_OPEN = 1000
_GUESSES = 10
"""Number of wrong tokens within a minute from which on attempts are throttled."""
_DELAY_SECONDS = 0.02
"""At most 50 attempts a second: a token of 16 random characters withstands that forever.

The right token waits only for the attempts before it, and the server accepts 200 at once.
"""


@dataclass(frozen=True, slots=True)
class Session:
    """A session.

    `csrf` goes into every form. `is_open`: its browser has sent the console's token, or none is required.
    """

    id: str
    csrf: str
    is_open: bool


class Sessions:
    """Sessions exist in this process only: after a restart everybody logs in again. Thread-safe, except `login`."""

    def __init__(self, token: str | None) -> None:
        self._token = token
        self._key = secrets.token_bytes(32)
        self._opened: OrderedDict[str, float] = OrderedDict()
        self._failures: deque[float] = deque(maxlen=_GUESSES)
        self._next_attempt = 0.0
        self._lock = threading.Lock()

    @property
    def needs_token(self) -> bool:
        return self._token is not None

    def of(self, id_: str | None) -> Session | None:
        """Return the session of a cookie's value; None if this process did not issue it."""
        if id_ is None or not self._is_ours(id_):
            return None
        return Session(id_, self._sign("form", id_), self._token is None or self._is_open(id_))

    def new(self) -> Session:
        """Return a new session. If a token is required, it is not open."""
        body = secrets.token_urlsafe(24)
        id_ = f"{body}.{self._sign('cookie', body)}"
        return Session(id_, self._sign("form", id_), self._token is None)

    async def login(self, offered: str) -> Session | None:
        """Return an open session with a new id for the right token; None for a wrong one.

        While somebody guesses tokens, all attempts are delayed. None is refused, so nobody can lock out the right
        token. Must be called on the event loop only.
        """
        now = time.monotonic()
        if len(self._failures) == _GUESSES and self._failures[0] > now - 60:
            self._next_attempt = max(now, self._next_attempt) + _DELAY_SECONDS
            await anyio.sleep(self._next_attempt - now)
        if self._token is None or not hmac.compare_digest(offered.encode(), self._token.encode()):
            self._failures.append(time.monotonic())
            return None
        session = self.new()
        now = time.monotonic()
        with self._lock:
            self._opened[session.id] = now + HOURS * 3600
            while len(self._opened) > _MAX_OPEN:
                self._opened.popitem(last=False)
        return Session(session.id, session.csrf, True)

    def logout(self, session: Session) -> None:
        """Close the session, wherever its cookie was copied to."""
        with self._lock:
            self._opened.pop(session.id, None)

    def is_form_of(self, session: Session, offered: str) -> bool:
        """Return whether a form came from a page of this session. `offered`: its CSRF token."""
        return hmac.compare_digest(session.csrf.encode(), offered.encode())

    def _is_open(self, id_: str) -> bool:
        with self._lock:
            return self._opened.get(id_, 0.0) > time.monotonic()

    def _is_ours(self, id_: str) -> bool:
        body, _, signature = id_.partition(".")
        return hmac.compare_digest(self._sign("cookie", body).encode(), signature.encode())

    def _sign(self, purpose: str, text: str) -> str:
        return hmac.new(self._key, f"{purpose}:{text}".encode("utf-8", "replace"), hashlib.sha256).hexdigest()
