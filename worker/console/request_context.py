"""What a browser asked for: the query and the form, bounded, with the session it belongs to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

import anyio
from starlette.requests import ClientDisconnect, Request

from worker.console.sessions import Session

FORM_BYTES = 64 << 10
_MOST_FIELDS = 50
_LONGEST_VALUE = 2000  # characters of what is no document
_FORM_SECONDS = 60.0
_MOST_NUMBER = (1 << 63) - 1  # of the store's columns


class HttpError(Exception):
    """Raised when something cannot be done as it was asked; the message is what the page says."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class RequestContext:
    """A request as pages see it. `from_editor`: its form holds a text that somebody wrote, which no failure may lose."""

    request: Request
    session: Session
    form: Mapping[str, str] = field(default_factory=dict)
    from_editor: bool = False

    @property
    def path(self) -> str:
        """The address without its query. It is not read from `request.url`, into which the Host header goes."""
        return str(self.request.scope["path"])

    @property
    def address(self) -> str:
        """The path with its query."""
        query = self.request.scope["query_string"].decode("latin-1")
        return f"{self.path}?{query}" if query else self.path

    def query(self, name: str) -> str:
        """A value of the address, trimmed; empty where there is none."""
        return _clean(self.request.query_params.get(name, ""))

    def form_value(self, name: str) -> str:
        """A value of the form, trimmed; empty where there is none."""
        return _clean(self.form.get(name, ""))

    def number(self, name: str) -> int:
        """A part of the path. Raises Refused (404) where it is beyond what the store can hold."""
        value = number_of(str(self.request.path_params[name]))
        if value is None:
            raise HttpError(404, "There is no such number.")
        return value

    @property
    def is_htmx(self) -> bool:
        """Whether a part of a page is wanted, and not all of it."""
        return self.request.headers.get("hx-request") == "true"


def number_of(text: str) -> int | None:
    """A number of ASCII digits that the store can hold; None: `text` is something else."""
    if not (text.isascii() and text.isdigit() and len(text) <= 19):
        return None
    value = int(text)
    return value if value <= _MOST_NUMBER else None


def _clean(value: str) -> str:
    """Without what PostgreSQL takes in no text: U+0000, and halves of surrogate pairs."""
    return value.strip()[:_LONGEST_VALUE].replace("\0", "\ufffd").encode("utf-8", "replace").decode()


async def body_of(request: Request, most: int) -> bytes:
    """The body of a form. Raises Refused; reads no more than `most` bytes, and no longer than a minute."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise HttpError(415, "A form is sent as application/x-www-form-urlencoded.")
    length = number_of(request.headers.get("content-length", ""))
    if length is not None and length > most:
        raise HttpError(413, "That is more than fits in a form of this page.")
    body = bytearray()
    try:
        with anyio.fail_after(_FORM_SECONDS):
            async for chunk in request.stream():
                body += chunk
                if len(body) > most:
                    raise HttpError(413, "That is more than fits in a form of this page.")
    except TimeoutError:
        raise HttpError(408, "The form did not arrive within a minute. Send it again.") from None
    except ClientDisconnect:
        raise HttpError(400, "The form did not arrive as a whole.") from None
    return bytes(body)


def form_of(body: bytes) -> dict[str, str]:
    """The fields of a form, the last value of each name. Raises Refused."""
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=_MOST_FIELDS, errors="replace")
    except ValueError as error:
        raise HttpError(400, "The form cannot be read.") from error
    return dict(pairs)
