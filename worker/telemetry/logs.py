"""Logging with structlog: one format for this project's lines and those of libraries such as Celery.

Lines are written for people on a terminal, and as JSON otherwise. A line has a sentence (`event`) and fields. `FIELDS`
lists every field with its meaning.
"""

from __future__ import annotations

import logging
import os
import sys
import warnings
from datetime import UTC, datetime
from typing import TextIO

import structlog
from structlog.typing import EventDict, Processor

from worker.settings import Settings, parse_levels, unknown_settings
from worker.telemetry.redaction import mask, mask_value, remember
from worker.telemetry.terminal import plain, printable, underlying
from worker.telemetry.throttling import MinuteThrottle

AREAS: dict[str, str] = {
    "worker": "Celery's worker process and its broker",
    "dispatch": "dispatching the entries of lanes",
    "ingest": "documents and batches",
    "summary": "the counts of each minute",
    "supervisor": "what `up` and `ingest` start and stop",
    "link": "finding similar articles and stories",
    "metrics": "the endpoint for Prometheus",
    "console": "the web pages for operators",
    "failpoints": "faults that tests inject",
}
"""The areas that can have their own log level (`COPYDESK_LOG_LEVEL=info,ingest=debug`). Other names are loggers of
libraries."""

FIELDS: dict[str, str] = {
    "at": "the time, UTC, ISO 8601",
    "level": "debug, info, warning, error",
    "logger": "the area that wrote the line",
    "event": "the event, as a sentence",
    "id": "the receipt id of a document: what XADD returned",
    "ids": "the receipt ids of some documents, ten at most",
    "lane": "the lane of the document",
    "source": "the source of the document",
    "key": "the key of the document: the identity that its producer gave it",
    "trace_id": "the trace of the document, from the entry's traceparent",
    "outcome": "stored, updated, unchanged, superseded, retracted or rejected",
    "url": "the article's canonical URL",
    "codes": "the codes of the document's problems",
    "problems": "the document's problems, the same objects as in its receipt",
    "documents": "number of documents",
    "bytes": "bytes of raw documents",
    "outcomes": "number of documents by outcome",
    "rows": "number of deleted rows by kind",
    "ms": "milliseconds: of each stage of a batch, or of an outage",
    "stage": "what a lost process did with its batch: read or store",
    "seconds": "duration in seconds",
    "articles": "number of articles",
    "of": "total number of articles",
    "day": "a day of arrival",
    "completed_documents": "number of articles of completed days, which determine the weights of words",
    "rate": "documents per second",
    "added": "entries that producers added",
    "settled": "entries that got their outcome",
    "backlog": "number of waiting entries, for each lane with any",
    "oldest_seconds": "waiting time of the oldest entry",
    "rejected": "number of rejected documents by code and source",
    "left_out": "number of equal lines that were suppressed in the minute before",
    "exception": "the traceback, where a bug of Copydesk may be the cause",
    "attempt": "the number of the attempt",
    "worker": "host and process id of the process",
    "error": "the message of a server or library, or the cause, without credentials",
    "pid": "the process id of the embedded Valkey",
    "valkey": "the process id of a Valkey that an earlier command left running",
    "users": "the process ids of the commands that use the embedded Valkey",
    "file": "the append-only file that was repaired",
    "folder": "the data directory of the embedded servers",
    "copy": "the copy of the file before the repair",
    "who": "the person who acted: a user of the console, an address, or user@host",
    "action": "what the person did, in the words of the commands",
    "subject": "to what",
    "page": "the path of a page of the console",
    "client": "the IP address of the client",
    "next": "what Copydesk does next, or what to do",
}


def _mask_values(_: object, __: str, event: EventDict) -> EventDict:
    event.pop("secured", None)
    for name, value in event.items():
        # Names with an underscore are structlog's own (`_record` …). They are never written.
        if not name.startswith("_"):
            event[name] = mask_value(value)
    return event


def _shared() -> list[Processor]:
    return [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(allow=()),
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
        structlog.processors.format_exc_info,
        _mask_values,
    ]


def configure(*, form: str = "auto", level: str = "info", stream: TextIO | None = None) -> None:
    """Write all log lines, also those of libraries, to `stream` (default: stderr) in one format. May be called again.

    `form`: `auto`, `console` or `json`. `level`: the level of all areas, then of single areas or loggers, such as
    `info,ingest=debug,celery=info`. Raises ValueError if it cannot be parsed.
    """
    stream = stream or underlying(sys.stderr)  # `PrintableStream` would remove the escape sequences of colours
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=_shared(),
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, _renderer(form, stream)],
    )
    handler = MinuteThrottle(stream)
    handler.setFormatter(formatter)
    handler.addFilter(_without_messages)
    root = logging.getLogger()
    for old in root.handlers:
        if isinstance(old, MinuteThrottle):
            old.close()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    default, areas = parse_levels(level)
    # Celery's info lines help only with debugging. Its important lines are warnings.
    logging.getLogger("celery").setLevel(logging.WARNING if default != "debug" else logging.INFO)
    warnings.showwarning = _show_warning
    logging.getLogger("copydesk").setLevel(default.upper())
    for area in AREAS:
        logging.getLogger(f"copydesk.{area}").setLevel(logging.NOTSET)
    for area, its_level in areas.items():
        logging.getLogger(f"copydesk.{area}" if area in AREAS else area).setLevel(its_level.upper())
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


_SHOW_MESSAGES = ("kombu", "celery.worker.pidbox", "celery.worker.control")


def _without_messages(record: logging.LogRecord) -> bool:
    """Remove values and tracebacks from the lines of `_SHOW_MESSAGES`, because they quote messages.

    Anybody with access to Redis can write such a message. Always returns True, so that the line is written.
    """
    if record.name.startswith(_SHOW_MESSAGES):
        record.msg, record.args = str(record.msg).partition("%")[0].rstrip(" :("), ()
        record.exc_info = record.exc_text = None
    return True


def _show_warning(message: Warning | str, category: type[Warning], *_: object, **__: object) -> None:
    """Log a Python warning as one sentence, without the source line."""
    logging.getLogger("py.warnings").warning(f"{category.__name__}: {' '.join(str(message).split())}")


def configure_for(settings: Settings, *, level: str | None = None) -> None:
    """Call `configure` with the settings, and mask the servers' passwords in all lines. `level` overrides theirs."""
    urls = (settings.redis_url, settings.database_url)
    remember(url.get_secret_value() for url in urls if url is not None)
    configure(form=settings.log_format, level=level or settings.log_level)


def name_unknown_settings() -> None:
    """Log one warning with all environment variables that look like a setting but are none."""
    if sentences := unknown_settings(os.environ):
        # One line for all, because `MinuteThrottle` suppresses repeated lines of one event.
        get_logger("worker").warning("Unknown settings", error=" ".join(sentences), next="remove or correct them")


def line(event: str, *, logger: str, form: str, stream: TextIO) -> str:
    """Return a log line as text in the format of all others. It takes no lock, so a signal handler may call it."""
    fields = {"event": mask(event), "level": "info", "logger": logger, "at": datetime.now(UTC).isoformat()}
    return str(_renderer(form, stream)(None, "info", {**fields, "at": fields["at"].replace("+00:00", "Z")}))


def _renderer(form: str, stream: TextIO) -> Processor:
    if form == "console" or (form == "auto" and stream.isatty()):
        render = structlog.dev.ConsoleRenderer(
            timestamp_key="at",
            colors=stream.isatty(),
            pad_event_to=0,
            sort_keys=False,
            pad_level=False,
            exception_formatter=structlog.dev.plain_traceback,  # the default shows local variables
        )
        return lambda logger, name, event: render(logger, name, _printable(event))
    return structlog.processors.JSONRenderer()


def _printable(event: EventDict) -> EventDict:
    """Shorten the time and remove what a terminal would interpret, because documents can be hostile. Edits `event`."""
    if "at" in event:
        event["at"] = str(event["at"])[5:19].replace("T", " ")
    for name, value in event.items():
        if isinstance(value, str):
            event[name] = printable(value) if name == "exception" else plain(value)
    return event


def get_logger(area: str) -> structlog.stdlib.BoundLogger:
    """Return the logger of an area (`worker`, `ingest`, `dispatch` …, see `AREAS`)."""
    logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(f"copydesk.{area}")
    return logger


__all__ = ["AREAS", "FIELDS", "configure", "configure_for", "get_logger", "line", "mask"]
