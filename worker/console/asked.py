"""What a browser asked for: the query and the form, bounded, with the session it belongs to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

from starlette.requests import Request

from worker.console.sessions import Session

FORM_BYTES = 64 << 10
_MOST_FIELDS = 50
_LONGEST_VALUE = 2000  # characters of what is no document


class Refused(Exception):
    """Raised when something cannot be done as it was asked; the message is what the page says."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as pages see it."""

    request: Request
    session: Session
    form: Mapping[str, str] = field(default_factory=dict)

    def query(self, name: str) -> str:
        """A value of the address, trimmed; empty where there is none."""
        return self.request.query_params.get(name, "").strip()[:_LONGEST_VALUE]

    def sent(self, name: str) -> str:
        """A value of the form, trimmed; empty where there is none."""
        return self.form.get(name, "").strip()[:_LONGEST_VALUE]

    def number(self, name: str) -> int:
        """A part of the path. Raises Refused (404) where it is beyond what the store can hold."""
        value = int(self.request.path_params[name])
        if value >= 1 << 63:
            raise Refused(404, "There is no such number.")
        return value

    @property
    def is_htmx(self) -> bool:
        """Whether a part of a page is wanted, and not all of it."""
        return self.request.headers.get("hx-request") == "true"


async def form_of(request: Request, most: int) -> dict[str, str]:
    """The form that was sent, the last value of each name. Raises Refused; reads no more than `most` bytes."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise Refused(415, "A form is sent as application/x-www-form-urlencoded.")
    length = request.headers.get("content-length", "")
    if length.isdigit() and int(length) > most:
        raise Refused(413, "That is more than fits in a form of this page.")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > most:
            raise Refused(413, "That is more than fits in a form of this page.")
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=_MOST_FIELDS, errors="replace")
    except ValueError as error:
        raise Refused(400, "The form cannot be read.") from error
    return dict(pairs)
