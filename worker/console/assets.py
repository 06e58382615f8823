"""The style sheet and the scripts of `static`. No other file can be requested."""

from __future__ import annotations

import functools
import hashlib
from importlib import resources

from starlette.requests import Request
from starlette.responses import Response

_KINDS = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8", "svg": "image/svg+xml"}


@functools.cache
def _files() -> dict[str, tuple[bytes, str, str]]:
    """Return name → content, media type, ETag."""
    files = {}
    for file in (resources.files("worker.console") / "static").iterdir():
        kind = _KINDS.get(file.name.rpartition(".")[2])
        if kind:
            content = file.read_bytes()
            files[file.name] = content, kind, f'"{hashlib.sha256(content).hexdigest()[:16]}"'
    return files


async def page(request: Request) -> Response:
    """Return a file; 304 when the browser has it already."""
    file = _files().get(request.path_params["name"])
    if file is None:
        return Response("There is no such file.\n", 404, media_type="text/plain")
    content, kind, tag = file
    headers = {"etag": tag, "cache-control": "no-cache"}
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    return Response(content, media_type=kind, headers=headers)
