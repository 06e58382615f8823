"""Identity: which version of a document counts, which document an article shows, which article a URL resolves to.
Pure.

The main rule (decision 9 in `worker/DECISIONS.md`): the store is a function of the latest accepted version of each
document alone. So nothing here depends on the order of processing. `revision` orders versions. Two versions cannot
have the same revision, because a revision contains the entry id and the lane. There are two exceptions, which `dispatch`
(`worker/queue/lua/dispatch.lua`) decides once for each entry. An id ahead of time (`AHEAD_SECONDS` in
`worker/queue/clock.py`) is replaced by one of the time of dispatch. While Redis's clock is behind the newest id, because it
was ahead and was set back, each entry gets the id after the newest one. So both are ordered as they are dispatched.

- A *document* is known by (source, key); without a key, the canonical URL is the key. It describes one article.
- A *retraction of a URL* by a source retracts the document of this key and all older versions of that source's
  documents that show the URL. The newest retraction of each source and URL is kept forever, whatever follows it.
- An *article* shows the newest live document that describes it (`documents.newest_document`).
- A *URL* resolves to the article whose canonical URL it is, if that has a live document; else to the newest live
  article that claims it as an alias; else to a stub (`url_resolution.py`). Aliases of aliases are not followed.
- A *stub* shows the newest live entry that names it. Of equal revisions the higher article id counts.
"""

from __future__ import annotations

from schemas.receipt import Outcome
from worker.store.decide.stored import DocumentRow


def revision(id_: str, lane: str, *, edit: int = 0) -> str:
    """Return the revision of the version that arrived as entry `id_` of `lane`.

    It is text whose byte order is the order of versions. Milliseconds and sequence are unsigned 64-bit numbers, so
    they take 20 digits each. `edit`: how often the dead letter was edited. An edit is newer than the text it corrects
    and older than all later entries.
    """
    ms, _, seq = id_.partition("-")
    suffix = f"#{edit:04d}" if edit else ""
    return f"{int(ms):020d}-{int(seq or 0):020d}:{lane}{suffix}"


def decide_outcome(
    document: DocumentRow, revision: str, article_hash: bytes | None, content_hash: bytes | None, url_retraction: str
) -> tuple[Outcome, DocumentRow]:
    """Return the outcome of a version of `document`, and the document after it.

    `article_hash`: of the article that the version describes; None: it is a retraction. `url_retraction`: the revision
    of the newest retraction, by the same source, of the URL that it shows.
    """
    if revision < document.revision:
        return Outcome.SUPERSEDED, document
    if article_hash is None:
        # The tombstone keeps the revision, so that a late older version is superseded.
        return Outcome.RETRACTED, retracted(document._replace(revision=revision))
    if revision < url_retraction:
        return Outcome.SUPERSEDED, retracted(document._replace(revision=revision))
    after = document._replace(revision=revision, article_hash=article_hash, content_hash=content_hash, retracted=False)
    if not document.is_live:
        return Outcome.STORED, after
    same = (document.article_hash, document.content_hash) == (article_hash, content_hash)
    return (Outcome.UNCHANGED if same else Outcome.UPDATED), after


def retracted(document: DocumentRow) -> DocumentRow:
    """Return a retracted document: no content, the same revision."""
    return document._replace(article_hash=None, content_hash=None, secured=None, form=None, retracted=True)
