"""One version of a document in a batch, with its outcome."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from schemas.problem import Problem, Severity
from schemas.receipt import Outcome
from worker.enrichment.enriched_document import EnrichedDocument
from worker.enrichment.reference_documents import ReferenceCopy
from worker.enrichment.urls.canonical_urls import document_hash
from worker.store.decide.article_rows import ArticleParts


@dataclass(slots=True)
class BatchItem:
    """One entry of a lane, from its claim to its outcome.

    `key`: as the producer gave it. `doc_key`: the document's key once it is known (the canonical URL where none was
    given).
    """

    lane: str
    id: str
    revision: str
    source: str
    received_at: datetime
    op: str = "put"
    key: str | None = None
    doc_key: str | None = None
    raw: bytes = b""
    raw_size: int = 0
    sha256: bytes | None = None
    is_raw_stored: bool = False
    """The raw bytes are those of a live document: they need not be sent to the database again."""
    fingerprint: bytes | None = None
    reply_to: str | None = None
    trace_id: str | None = None
    original_id: str | None = None
    """The id that the producer received, if the entry was added again under another one."""
    order_id: str | None = None
    """The id in `revision`, except of a replay: it has the revision of what it repeats."""
    receipt_id: str = ""
    """The id of the receipt: the one that the producer received, unless another document has a receipt under that."""
    attempts: int = 0
    problems: tuple[Problem, ...] = ()
    copy: EnrichedDocument | None = None
    parts: ArticleParts | None = None
    """The rows of the article that shows `copy`, made before the writer lock is taken."""
    reference: ReferenceCopy | None = None
    recognised: tuple[bytes, bytes] | None = None
    """(article_hash, content_hash) of the stored version that this one equals, except in `secured`.

    It is not parsed.
    """
    secured: str | None = None
    dead_letter: int | None = None
    """On the internal lane: the id of the dead letter that this replays, with its revision, source and key."""
    reprocessed: bool = False
    """On the internal lane: a stored document that is processed again by the current pipeline, with its own revision.
    """
    # What became of it: set by `decision.decide`.
    outcome: Outcome | None = None
    id_conflict: bool = False
    """Another document has a receipt under this lane and id: the stream was lost or restored, and ids occur twice.

    Nothing of the item is stored, and it has no outcome.
    """
    url: str | None = None
    article_id: int | None = None
    document_id: int | None = None
    changed: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.receipt_id = self.receipt_id or self.receipt_ids[0]

    @property
    def receipt_ids(self) -> tuple[str, ...]:
        """The ids that its receipt may have; the first one is preferred."""
        return (self.id,) if self.original_id is None else (self.original_id, self.id)

    @property
    def content(self) -> EnrichedDocument | ReferenceCopy | None:
        """What was read of it, if it was read and is valid."""
        return self.copy or self.reference

    @property
    def described(self) -> tuple[bytes | None, bytes | None]:
        """The hash of what it describes (an article, or the subject of a reference document), and of its content.

        (None, None): it is a retraction, or it was not read.
        """
        content = self.content
        return (content.url_hash, content.content_hash) if content is not None else self.recognised or (None, None)

    @property
    def doc_hash(self) -> bytes:
        """The identity of the document of which this is a version."""
        return document_hash(self.source, self.doc_key or "")

    @property
    def rejected(self) -> bool:
        return bool(self.problems) and any(problem.severity is Severity.ERROR for problem in self.problems)
