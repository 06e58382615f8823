"""Identity: which version of a document counts, which document tells an article, what a URL means. Pure.

The rule behind everything (design, decision 9): the store is a function of the latest accepted version of each document
alone. So nothing here looks at the order of processing; `revision` orders versions, and ties cannot be (a revision ends
in its lane's name).

- A *document* is a producer's (source, key); where no key is given, the canonical URL is the key. It tells one article.
- A *retraction of a URL* by a source reaches, beside the document of this key, all older versions of that source's
  documents that show the URL. The newest of each source and URL is kept for ever, whatever comes after it.
- An *article* shows the newest live document that tells it (`newest_teller`).
- A *URL* means the article whose canonical URL it is and which a live document tells; else the newest live article that
  claims it as an alias; else a stub (`meaning`).
- A *stub* shows the newest live entry that names it (`newest_mention`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from schemas.receipt import Outcome


def revision(id_: str, lane: str, *, edit: int = 0) -> str:
    """The revision of the version that came as entry `id_` of `lane`: text whose byte order is the order of versions.

    Milliseconds and sequence are unsigned 64-bit numbers, so 20 digits each. An edit of a dead letter is newer than what
    it mends and older than everything that came later.
    """
    ms, _, seq = id_.partition("-")
    suffix = f"#{edit:04d}" if edit else ""
    return f"{int(ms):020d}-{int(seq or 0):020d}:{lane}{suffix}"


@dataclass(frozen=True, slots=True)
class DocumentState:
    """What is known of a document: its latest accepted version."""

    revision: str = ""
    article_hash: bytes | None = None
    content_hash: bytes | None = None
    retracted: bool = False

    @property
    def is_live(self) -> bool:
        return self.article_hash is not None and not self.retracted


@dataclass(frozen=True, slots=True)
class DocumentChange:
    """A version that wants to become a document's latest. `article_hash` is None for a retraction."""

    revision: str
    article_hash: bytes | None = None
    content_hash: bytes | None = None


def decide_outcome(
    state: DocumentState, change: DocumentChange, url_retraction: str = ""
) -> tuple[Outcome, DocumentState]:
    """What becomes of `change`, and the document's state after it.

    `url_retraction`: the revision of the newest retraction, by the same source, of the URL that `change` shows.
    """
    if change.revision < state.revision:
        return Outcome.SUPERSEDED, state
    if change.article_hash is None:
        # The tombstone keeps the revision, so that an older version that comes late stays buried.
        return Outcome.RETRACTED, retracted(replace(state, revision=change.revision))
    if change.revision < url_retraction:
        return Outcome.SUPERSEDED, retracted(replace(state, revision=change.revision))
    after = DocumentState(change.revision, change.article_hash, change.content_hash, retracted=False)
    if not state.is_live:
        return Outcome.STORED, after
    same = (state.article_hash, state.content_hash) == (change.article_hash, change.content_hash)
    return (Outcome.UNCHANGED if same else Outcome.UPDATED), after


def retracted(state: DocumentState) -> DocumentState:
    """The document without what it says, in the same version."""
    return replace(state, article_hash=None, content_hash=None, retracted=True)


@dataclass(frozen=True, slots=True)
class SourceDocument:
    """A live document that tells an article."""

    document_id: int
    revision: str
    pipeline_version: int | None = None


def newest_source_document(source_documents: Iterable[SourceDocument]) -> SourceDocument | None:
    """The document that an article shows."""
    return max(source_documents, key=lambda source_document: source_document.revision, default=None)


@dataclass(frozen=True, slots=True)
class AliasClaim:
    """A live article that claims a URL as an alias."""

    article_id: int
    revision: str


def resolve_url(
    url_hash: bytes, published: Mapping[bytes, int], claims: Mapping[bytes, Sequence[AliasClaim]]
) -> int | None:
    """The id of the live article that a URL means, in one hop; None: a stub, if anybody names it."""
    if url_hash in published:
        return published[url_hash]
    newest = max(claims.get(url_hash, ()), key=lambda claim: (claim.revision, claim.article_id), default=None)
    return newest.article_id if newest else None


@dataclass(frozen=True, slots=True)
class Reference:
    """A live article whose `related` names a URL."""

    article_id: int
    revision: str


def newest_mention(namings: Iterable[Reference]) -> Reference | None:
    """The entry that a stub shows."""
    return max(namings, key=lambda reference: (reference.revision, reference.article_id), default=None)
