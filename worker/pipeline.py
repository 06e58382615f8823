"""All steps of a batch: from claimed entries to committed outcomes.

    open ─▶ [not counted] recognise ─▶ [counted] read (parse, validate) ─▶ enrich ─▶ [not counted] write

A small batch is read without `recognise`: reading a few documents takes less time than asking the store about them.

An attempt counts while entries are opened, read and enriched, because a document can crash the process there. It is not
counted while the store is used: if the store hangs until the process is killed, no document is at fault.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from sqlalchemy import Engine

from schemas.envelope import parse_envelope
from schemas.problem import Problem, problem
from worker.documents.front_matter import fingerprint, secured_line
from worker.documents.internal_entries import not_ours, read_celery_message, read_replay
from worker.documents.limits import Limits
from worker.documents.validation import read
from worker.enrichment.enricher import enrich
from worker.enrichment.reference_documents import edit_reference
from worker.enrichment.urls.canonical_urls import canonicalise
from worker.heat_rules import AllRules
from worker.queue.clock import Clock, local_clock
from worker.queue.crashes import sentence
from worker.queue.lease_queue import Claimed, id_key
from worker.settings import INTERNAL_LANE
from worker.store.batches.recognition import is_small, recognise
from worker.store.batches.writer import BatchWriter
from worker.store.decide.batch_item import BatchItem
from worker.store.decide.documents import changed_together
from worker.store.decide.identity import revision
from worker.telemetry.failpoints import failpoint
from worker.telemetry.logs import get_logger

log = get_logger("ingest")

_NO_CREDIBLE_MS = 4_102_444_800_000  # the year 2100


@dataclass(slots=True)
class Batch:
    """The parameters of `process` besides the entries. `source` is the fixed source of the lane, if it has one."""

    lane: str
    source: str | None
    worker: str
    max_attempts: int
    limits: Limits
    verdict: Problem | None = None
    """Set when the store refused a document: the document is rejected with this problem and not read again."""
    rules: AllRules = field(default_factory=AllRules)
    evidence: Mapping[str, str] = field(default_factory=dict)
    """Id → a sentence about the crashes of processes that were reading the entry."""
    timings: dict[str, float] = field(default_factory=dict)
    leaves_work: bool = False
    """Set after the commit: the batch left background work (`store/background/work_rows.py`)."""
    clock: Clock = local_clock
    """The Redis server's clock, which also makes ids. It gives stored times and decides which ids are in the future."""

    def took(self, stage: str, since: float) -> float:
        """Store how long `stage` took, in milliseconds, and return the time now. Times are of `time.perf_counter`."""
        now = time.perf_counter()
        self.timings[stage] = round((now - since) * 1000, 2)
        return now


def process(
    engine: Engine,
    batch: Batch,
    entries: Sequence[Claimed],
    *,
    end_attempt: Callable[[], None],
    begin_attempt: Callable[[], None] = lambda: None,
) -> list[BatchItem]:
    """Take `entries` through all stages. When it returns, their outcomes are committed and may be settled.

    It calls `end_attempt` before it uses the store, and `begin_attempt` before it reads documents again. Raises
    SQLAlchemy's errors; then nothing is stored.
    """
    at = time.perf_counter()
    versions = [open_entry(batch, entry) for entry in entries]
    puts = _fingerprinted(versions, batch.limits)
    at = batch.took("open", at)
    if not is_small(versions):
        end_attempt()
        recognise(engine, puts)
        for version in puts:
            if version.recognised is not None:
                version.secured = _secured_of(version.raw)
        begin_attempt()
    at = batch.took("recognise", at)
    failpoint("ingest.recognised")
    for version in versions:
        if version.recognised is None and not version.rejected and version.op == "put":
            read_version(version, batch.limits)
    for version in changed_together(versions):
        version.recognised = None
        read_version(version, batch.limits)
    at = batch.took("read", at)
    failpoint("ingest.read")
    end_attempt()
    failpoint("ingest.kept")
    changes = BatchWriter(
        engine,
        lambda version: read_version(version, batch.limits),
        batch.worker,
        batch.clock(),
        batch.rules,
        batch.timings,
    ).write(versions)
    batch.leaves_work = bool(changes.work)
    batch.took("write", at)
    return versions


def open_entry(batch: Batch, entry: Claimed) -> BatchItem:
    """Build the batch item of an entry from its fields, without parsing the document.

    Problems of the envelope, an excess of the size limit and used-up attempts are added to the item's `problems`.
    """
    envelope, problems = parse_envelope(entry.fields)
    now = batch.clock()
    order_id = _credible(entry.order_id or entry.id, now)
    arrived_ms = id_key(order_id)[0] if entry.arrived_ms is None else entry.arrived_ms
    version = BatchItem(
        lane=batch.lane,
        id=entry.id,
        revision=revision(order_id, batch.lane),
        source=batch.source or envelope.source or batch.lane,
        received_at=min(datetime.fromtimestamp(arrived_ms / 1000, UTC), now),
        op=str(envelope.op),
        key=envelope.key,
        doc_key=normal_key(envelope.key) if envelope.key else None,
        reply_to=envelope.reply_to,
        trace_id=envelope.trace_id,
        original_id=entry.original_id,
        order_id=order_id,
        attempts=entry.attempts,
        problems=problems,
    )
    raw = entry.fields.get(b"raw", b"")
    if batch.lane == INTERNAL_LANE and b"problem" in entry.fields:
        return _open_celery_message(version, entry.fields)
    if batch.lane == INTERNAL_LANE:
        _continue_replay(version, entry.fields)
    if entry.truncated:
        most = batch.limits.max_bytes
        version.raw, version.raw_size, version.sha256 = raw, entry.raw_size, entry.sha256
        what = f"The entry around the document has {entry.size:,} bytes, 16 of them for each name and each value."
        if entry.raw_size > most:
            what = f"The document has {entry.raw_size:,} bytes."
        found = problem("too_large", what, expected=f"at most {most:,}")
        version.problems = (*version.problems, found)
        return version
    if raw:
        _set_raw(version, raw)
    if batch.verdict is not None:
        version.problems = (*version.problems, batch.verdict)
    elif entry.attempts >= batch.max_attempts:
        tried = batch.evidence.get(entry.id) or sentence(entry.attempts, ())
        version.problems = (*version.problems, problem("poison", tried))
    return version


def _open_celery_message(version: BatchItem, fields: Mapping[bytes, bytes]) -> BatchItem:
    """Reject a message of Celery's queue that is not a document, with the problem that the worker found on arrival."""
    message = read_celery_message(fields)
    if message is None:
        _set_raw(version, fields.get(b"raw", b""))
        found = not_ours()
    else:
        version.raw, version.raw_size, version.sha256 = message.raw, message.raw_size, message.sha256
        found = message.problem
    version.problems = (found, *(known for known in version.problems if known.code != "unknown_entry_field"))
    return version


def _continue_replay(version: BatchItem, fields: Mapping[bytes, bytes]) -> None:
    """Set the revision of a replayed or reprocessed document to the original one.

    So a replay of an old document never overwrites a newer version.
    """
    replay = read_replay(fields)
    if replay is None:
        version.problems = (*version.problems, not_ours())
        return
    version.revision, version.dead_letter = replay.revision, replay.dead_letter
    version.reprocessed = replay.dead_letter is None
    version.problems = tuple(found for found in version.problems if found.code != "unknown_entry_field")


def _set_raw(version: BatchItem, raw: bytes) -> None:
    version.raw, version.raw_size, version.sha256 = raw, len(raw), hashlib.sha256(raw).digest()


def normal_key(key: str) -> str:
    """Return a producer's key, canonicalised if it is a URL, so that any spelling of the URL retracts the document."""
    return canonicalise(key) if key[:8].lower().startswith(("http://", "https://")) else key


def _fingerprinted(versions: Sequence[BatchItem], limits: Limits) -> list[BatchItem]:
    """Set the fingerprint of each version that holds a document to read, and return those versions.

    Versions that are rejected or reprocessed are left out.
    """
    puts = [
        version
        for version in versions
        if version.op == "put" and version.raw and not version.rejected and not version.reprocessed
    ]
    for version in puts:
        version.fingerprint = fingerprint(version.raw, limits)
    return puts


def read_version(version: BatchItem, limits: Limits) -> None:
    """Parse, validate and enrich; set the version's `copy` or `reference`, or the problems that reject it."""
    reading = read(version.raw, has_key=version.doc_key is not None, limits=limits, fingerprint=version.fingerprint)
    version.problems = (*version.problems, *reading.problems)
    version.fingerprint, version.secured = reading.fingerprint, None
    if version.rejected:
        return
    if reading.reference is not None:
        version.reference = edit_reference(reading.reference)
        if version.reference is None:
            version.problems = (*version.problems, problem("no_identity", field="domain", line=1, column=1,
                                                           expected="a domain name"))  # fmt: skip
        elif version.doc_key is None:
            version.doc_key = f"{version.reference.taxonomy}:{version.reference.subject}"
        return
    if reading.article is None:
        return
    version.copy = enrich(reading.article, reading.body, source=version.source, key=version.doc_key)
    version.secured = version.copy.secured
    if version.doc_key is None:
        version.doc_key = version.copy.canonical_url


def _secured_of(raw: bytes) -> str | None:
    """Return the value of `secured`, which may differ from the stored one; None if the document has none."""
    span = secured_line(raw)
    return raw[span[0] : span[1]].decode("ascii") if span else None


def _credible(id_: str, now: datetime) -> str:
    """Return the id that orders an entry: from the year 2100 on, one of the present instead.

    Mostly `dispatch` has replaced an id that is ahead of time. A dispatcher of an older version did not, and another program
    may have written the id.
    """
    ms, seq = id_key(id_)
    return id_ if ms < _NO_CREDIBLE_MS else f"{int(now.timestamp() * 1000)}-{seq}"
