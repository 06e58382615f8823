"""Logs: structlog, one schema for our lines and Celery's. Console form on a terminal, JSON lines otherwise.

A line is a sentence (`event`) and fields. `FIELDS` lists every field with its meaning.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

FIELDS: dict[str, str] = {
    "at": "when, UTC, ISO 8601",
    "level": "debug, info, warning, error",
    "logger": "the area that speaks",
    "event": "the sentence",
    "id": "the receipt id of a document: what XADD returned",
    "lane": "the stream it came on",
    "source": "who sent it",
    "key": "the producer's own identity for it",
    "trace_id": "the trace it belongs to, from the entry's traceparent",
    "outcome": "stored, updated, unchanged, superseded, retracted or rejected",
    "url": "the article's canonical URL",
    "codes": "the codes of its problems",
    "problems": "its problems, the same objects as in its receipt",
    "documents": "how many documents",
    "bytes": "how many bytes of raw documents",
    "outcomes": "how many of each outcome",
    "ms": "milliseconds of each stage",
    "attempt": "which try this is",
    "worker": "host and process",
    "error": "what the server or library said, without credentials",
    "next": "what happens now, or what to do",
}

_CREDENTIALS = re.compile(r"(?<=://)[^/@\s'\"]*@")
_SECURED = re.compile(r"""(secured["']?\s*[:=]\s*["']?)[A-Za-z0-9+/=;]{8,}""")


def mask(text: str) -> str:
    """`text` without URL credentials and without `secured` values."""
    return _SECURED.sub(r"\1…", _CREDENTIALS.sub("…@", text))


def _mask_values(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    event.pop("secured", None)
    for name, value in event.items():
        if isinstance(value, str):
            event[name] = mask(value)
    return event


def _shared() -> list[Any]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(allow=()),
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
        structlog.processors.format_exc_info,
        _mask_values,
    ]


def configure(*, form: str = "auto", level: str = "info", stream: Any = None) -> None:
    """Send every log line, ours and the libraries', to `stream` (stderr) in one form. May be called again."""
    stream = stream or sys.stderr
    console = form == "console" or (form == "auto" and stream.isatty())
    renderer: Any = (
        structlog.dev.ConsoleRenderer(timestamp_key="at") if console else structlog.processors.JSONRenderer()
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=_shared(),
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    # Celery's own chatter is for debugging; what matters of it comes as warnings.
    logging.getLogger("celery").setLevel(logging.WARNING if level != "debug" else logging.INFO)
    logging.captureWarnings(capture=True)
    logging.getLogger("copydesk").setLevel(level.upper())
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_shared(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def get_logger(area: str) -> structlog.stdlib.BoundLogger:
    """The logger of an area (`worker`, `ingest`, `dispatch`, `store` …)."""
    logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(f"copydesk.{area}")
    return logger
