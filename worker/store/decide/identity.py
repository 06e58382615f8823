"""Identity: which version of a document counts, which document an article shows, which article a URL resolves to.
Pure.

The main rule (decision 9 in `worker/DECISIONS.md`): the store is a function of the latest accepted version of each
document alone. So nothing here depends on the order of processing. `revision` orders versions. Two versions cannot
have the same revision, because a revision contains the entry id and the lane.

- A *document* is known by (source, key); without a key, the canonical URL is the key. It describes one article.
- A *retraction of a URL* by a source retracts the document of this key and all older versions of that source's
  documents that show the URL. The newest retraction of each source and URL is kept forever, whatever follows it.
- An *article* shows the newest live document that describes it (`newest_source_document`).
- A *URL* resolves to the article whose canonical URL it is, if that has a live document; else to the newest live
  article that claims it as an alias; else to a stub (`resolve_url`).
- A *stub* shows the newest live entry that names it (`newest_mention`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from schemas.receipt import Outcome


def revision(id_: str, lane: str, *, edit: int = 0) -> str:
    """Return the revision of the version that arrived as entry `id_` of `lane`.

    It is text whose byte order is the order of versions. Milliseconds and sequence are unsigned 64-bit numbers, so
    they take 20 digits each. `edit`: how often the dead letter was edited. An edit is newer than the text it corrects
    and older than all later entries.
    """
    ms, _, seq = id_.partition("-")
    suffix = f"#{edit:04d}" if edit else ""
    return f"{int(ms):020d}-{int(seq or 0):020d}:{lane}{suffix}"


@dataclass(frozen=True, slots=True)
class DocumentState:
    """The state of a document: its latest accepted version."""

    revision: str = ""
    article_hash: bytes | None = None
    content_hash: bytes | None = None
    retracted: bool = False

    @property
    def is_live(self) -> bool:
        return self.article_hash is not None and not self.retracted


@dataclass(frozen=True, slots=True)
class DocumentChange:
    """A version that may become a document's latest. `article_hash` is None for a retraction."""

    revision: str
    article_hash: bytes | None = None
    content_hash: bytes | None = None


def decide_outcome(
    state: DocumentState, change: DocumentChange, url_retraction: str = ""
) -> tuple[Outcome, DocumentState]:
    """Return the outcome of `change`, and the document's state after it.

    `url_retraction`: the revision of the newest retraction, by the same source, of the URL that `change` shows.
    """
    if change.revision < state.revision:
        return Outcome.SUPERSEDED, state
    if change.article_hash is None:
        # The tombstone keeps the revision, so that a late older version is superseded.
        return Outcome.RETRACTED, retracted(replace(state, revision=change.revision))
    if change.revision < url_retraction:
        return Outcome.SUPERSEDED, retracted(replace(state, revision=change.revision))
    after = DocumentState(change.revision, change.article_hash, change.content_hash, retracted=False)
    if not state.is_live:
        return Outcome.STORED, after
    same = (state.article_hash, state.content_hash) == (change.article_hash, change.content_hash)
    return (Outcome.UNCHANGED if same else Outcome.UPDATED), after


def retracted(state: DocumentState) -> DocumentState:
    """Return the state of a retracted document: no content, the same revision."""
    return replace(state, article_hash=None, content_hash=None, retracted=True)


@dataclass(frozen=True, slots=True)
class SourceDocument:
    """A live document that describes an article."""

    document_id: int
    revision: str
    pipeline_version: int | None = None


def newest_source_document(source_documents: Iterable[SourceDocument]) -> SourceDocument | None:
    """Return the document that an article shows: the newest; None if there is none."""
    return max(source_documents, key=lambda source_document: source_document.revision, default=None)


@dataclass(frozen=True, slots=True)
class AliasClaim:
    """A live article that claims a URL as an alias."""

    article_id: int
    revision: str


def resolve_url(
    url_hash: bytes, published: Mapping[bytes, int], claims: Mapping[bytes, Sequence[AliasClaim]]
) -> int | None:
    """Return the id of the live article that a URL resolves to; None: it resolves to a stub, if anybody names it.

    `published`: url_hash → id of live articles. `claims`: the claims of each URL. Aliases of aliases are not followed.
    """
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
    """Return the reference whose entry a stub shows: the newest; None if there is none."""
    return max(namings, key=lambda reference: (reference.revision, reference.article_id), default=None)
