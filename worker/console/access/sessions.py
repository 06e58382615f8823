"""Sessions of the console: the cookie, who logged in with which role, and the CSRF token of each form."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Mapping
from dataclasses import dataclass

import anyio

from worker.console.access.users import Role, User, UserFile, UsersError
from worker.telemetry.logs import get_logger

log = get_logger("console")

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

    `csrf` goes into every form. `is_open`: its browser has sent a right token, or none is required. `user`: the name of
    the user whose token it was; empty for the console's own token, and where none is required.
    """

    id: str
    csrf: str
    is_open: bool
    user: str = ""
    role: Role = Role.OPERATOR

    @property
    def may_act(self) -> bool:
        return self.is_open and self.role is Role.OPERATOR


@dataclass(frozen=True, slots=True)
class _Login:
    """Until when a session is open (time.monotonic()), and for whom; no user: by the console's token."""

    until: float
    user: User | None


class Sessions:
    """Sessions exist in this process only: after a restart everybody logs in again. Thread-safe, except `login`."""

    def __init__(self, token: str | None, users: UserFile | None = None) -> None:
        self._token = token
        self._file = users
        self._is_guarded = token is not None
        self._key = secrets.token_bytes(32)
        self._opened: OrderedDict[str, _Login] = OrderedDict()
        self._failures: deque[float] = deque(maxlen=_GUESSES)
        self._next_attempt = 0.0
        self._lock = threading.Lock()

    @property
    def needs_token(self) -> bool:
        """Whether a token is required: there is one, or there was a user since this process started."""
        if not self._is_guarded and (self._file is None or not self._users()):
            return self._is_guarded
        self._is_guarded = True
        return True

    def _users(self) -> Mapping[str, User]:
        """Return the users. While the file cannot be read there are none, and a token is required."""
        try:
            return self._file.read() if self._file is not None else {}
        except UsersError as error:
            self._is_guarded = True
            log.warning("The file of the console's users cannot be used", error=str(error), next="no user can log in")
            return {}

    def of(self, id_: str | None) -> Session | None:
        """Return the session of a cookie's value; None if this process did not issue it."""
        if id_ is None or not self._is_ours(id_):
            return None
        return self._session(id_)

    def new(self) -> Session:
        """Return a new session. If a token is required, it is not open."""
        body = secrets.token_urlsafe(24)
        return self._session(f"{body}.{self._sign('cookie', body)}")

    def _session(self, id_: str) -> Session:
        csrf = self._sign("form", id_)
        if not self.needs_token:
            return Session(id_, csrf, True)
        with self._lock:
            login = self._opened.get(id_)
        if login is None or login.until <= time.monotonic():
            return Session(id_, csrf, False)
        if login.user is None:
            return Session(id_, csrf, True)
        user = self._users().get(login.user.name)
        if user is None or user.token_sha256 != login.user.token_sha256:  # removed, or has a new token
            return Session(id_, csrf, False)
        return Session(id_, csrf, True, user.name, user.role)

    async def login(self, offered: str) -> Session | None:
        """Return an open session with a new id for the right token; None for a wrong one.

        While somebody guesses tokens, all attempts are delayed. None is refused, so nobody can lock out the right
        token. Must be called on the event loop only.
        """
        now = time.monotonic()
        if len(self._failures) == _GUESSES and self._failures[0] > now - 60:
            self._next_attempt = max(now, self._next_attempt) + _DELAY_SECONDS
            await anyio.sleep(self._next_attempt - now)
        is_token = self._token is not None and hmac.compare_digest(offered.encode(), self._token.encode())
        user = None if is_token else self._user_with(offered)
        if not is_token and user is None:
            self._failures.append(time.monotonic())
            return None
        session = self.new()
        now = time.monotonic()
        with self._lock:
            self._opened[session.id] = _Login(now + HOURS * 3600, user)
            while len(self._opened) > _MAX_OPEN:
                self._opened.popitem(last=False)
        return self._session(session.id)

    def _user_with(self, token: str) -> User | None:
        try:
            return self._file.with_token(token) if self._file is not None else None
        except UsersError:
            return None

    def logout(self, session: Session) -> None:
        """Close the session, wherever its cookie was copied to."""
        with self._lock:
            self._opened.pop(session.id, None)

    def is_form_of(self, session: Session, offered: str) -> bool:
        """Return whether a form came from a page of this session. `offered`: its CSRF token."""
        return hmac.compare_digest(session.csrf.encode(), offered.encode())

    def _is_ours(self, id_: str) -> bool:
        body, _, signature = id_.partition(".")
        return hmac.compare_digest(self._sign("cookie", body).encode(), signature.encode())

    def _sign(self, purpose: str, text: str) -> str:
        return hmac.new(self._key, f"{purpose}:{text}".encode("utf-8", "replace"), hashlib.sha256).hexdigest()
