"""A browser's request: its query and its form, both bounded, and its session."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlencode

import anyio
from starlette.requests import ClientDisconnect, Request

from worker.console.access.sessions import Session

FORM_BYTES = 64 << 10
_MAX_FIELDS = 150
_MAX_VALUE = 2000  # characters of a field other than a document
_FORM_SECONDS = 60.0
_TOO_LARGE = "This is larger than a form of this page may be."
_CSV_ROWS = 5000
_MAX_NUMBER = (1 << 63) - 1  # of the store's columns


class HttpError(Exception):
    """Raised when a request is refused; the page shows the message and has the status `status`."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class RequestContext:
    """A request as pages see it. `from_editor`: its form holds a text that a user wrote, which no failure may lose."""

    request: Request
    session: Session
    form: Mapping[str, str] = field(default_factory=dict)
    ticked: tuple[int, ...] = ()
    """The numbers of the check boxes that are ticked: the values of the form's fields `id`."""
    from_editor: bool = False

    @property
    def path(self) -> str:
        """The path without the query. `request.url` is not used, because it contains the Host header."""
        return str(self.request.scope["path"])

    @property
    def address(self) -> str:
        """The path with its query."""
        query = self.request.scope["query_string"].decode("latin-1")
        return f"{self.path}?{query}" if query else self.path

    def address_with(self, **changes: str) -> str:
        """Return the address with some query parameters changed; an empty one is left out."""
        pairs = parse_qsl(self.request.scope["query_string"].decode("latin-1"), keep_blank_values=False)
        parameters = {**dict(pairs), **changes}
        query = urlencode({name: value for name, value in parameters.items() if value})
        return f"{self.path}?{query}" if query else self.path

    def query(self, name: str) -> str:
        """Return a query parameter, trimmed; empty if it is missing."""
        return clean(self.request.query_params.get(name, "")).strip()

    def form_value(self, name: str) -> str:
        """Return a field of the form, trimmed; empty if it is missing."""
        return clean(self.form.get(name, "")).strip()

    def number(self, name: str) -> int:
        """Return a number of the path. Raises HttpError (404) if the store cannot hold it."""
        value = number_of(str(self.request.path_params[name]))
        if value is None:
            raise HttpError(404, "There is no such number.")
        return value

    def rows(self, shown: int) -> int:
        """Return how many rows of a table to read: `shown` for a page, up to 5,000 for its CSV."""
        return _CSV_ROWS if self.query("csv") else shown

    @property
    def is_htmx(self) -> bool:
        """Whether HTMX requests a part of the page."""
        return self.request.headers.get("hx-request") == "true"


def number_of(text: str) -> int | None:
    """Return the number in `text`: ASCII digits, within the range of the store's columns; None if it is not one."""
    if not (text.isascii() and text.isdigit() and len(text) <= 19):
        return None
    value = int(text)
    return value if value <= _MAX_NUMBER else None


def clean(value: str) -> str:
    """Return at most 2,000 characters, without what PostgreSQL accepts in no text: U+0000 and lone surrogates."""
    return value[:_MAX_VALUE].replace("\0", "\ufffd").encode("utf-8", "replace").decode()


async def body_of(request: Request, limit: int) -> bytes:
    """Read the body of a form: at most `limit` bytes, for at most a minute. Raises HttpError."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise HttpError(415, "A form is sent as application/x-www-form-urlencoded.")
    length = number_of(request.headers.get("content-length", ""))
    if length is not None and length > limit:
        raise HttpError(413, _TOO_LARGE)
    body = bytearray()
    try:
        with anyio.fail_after(_FORM_SECONDS):
            async for chunk in request.stream():
                body += chunk
                if len(body) > limit:
                    raise HttpError(413, _TOO_LARGE)
    except TimeoutError:
        raise HttpError(408, "The form did not arrive within a minute. Send it again.") from None
    except ClientDisconnect:
        raise HttpError(400, "The form did not arrive as a whole.") from None
    return bytes(body)


def form_of(body: bytes) -> tuple[dict[str, str], tuple[int, ...]]:
    """Return the fields of a form (the last value of each name), and the numbers of the fields `id`. Raises HttpError."""
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=_MAX_FIELDS, errors="replace")
    except ValueError as error:
        raise HttpError(400, "The form cannot be read.") from error
    numbers = (number_of(value) for name, value in pairs if name == "id")
    return dict(pairs), tuple(number for number in numbers if number is not None)
