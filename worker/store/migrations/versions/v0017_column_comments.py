"""Plain comments on the columns (PostgreSQL shows them)"""

from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

COMMENTS = (
    (
        "providers",
        "name",
        "from its reference document, else the name in most articles",
        "its reference document's, else the one most articles say",
    ),
    ("providers", "images", "logos, from its reference document", "logos, as its reference document has them"),
    ("topics", "keywords", "words in an article from which the topic is inferred", "words by which it is inferred"),
    (
        "stories",
        "lead_id",
        "the article to show for the story: the best quality, then the earliest",
        "the article to show: the best by quality, then the earliest",
    ),
    (
        "stories",
        "size",
        "number of articles; 0: the story ended because its articles are in other stories now",
        "articles; 0: it ended, as its articles went elsewhere",
    ),
    (
        "stories",
        "first_id",
        "the first article of the story; each other one has a link to it, or to three articles of the story",
        "the article that all the others are like",
    ),
    (
        "stories",
        "announced_at",
        "null: the last change is not in the change feed yet",
        "null: the change feed has not carried its last change",
    ),
    (
        "articles",
        "canonical_url",
        "null: the article has no URL; source and key of its document identify it",
        "null: known by its document's source and key",
    ),
    (
        "articles",
        "url_hash",
        "identity of the article: hash of the canonical URL, or of source and key",
        "identity: of the canonical URL, or of source and key",
    ),
    ("articles", "updated_at", "when it was updated, as stated in the document", "as the document says"),
    (
        "articles",
        "provider_name",
        "the provider's name in this document",
        "the provider's name as this document says it",
    ),
    (
        "articles",
        "heat",
        "computed by the rules of heat; the reported value if there is no quality",
        "by the rules (worker/enrichment/heat.py); as reported where there is no quality",
    ),
    (
        "articles",
        "lead_id",
        "the article that leads the related ones by the rules of heat; its own id if it leads",
        "the article that leads its story, by the rules of heat; itself where it does",
    ),
    (
        "articles",
        "related_count",
        "number of entries of related in the document",
        "entries of related as its document has them",
    ),
    (
        "articles",
        "outranked_by",
        "rank of the related entry that leads by the values in the document; -1: it is no link",
        "rank of the related entry that leads as its document says; -1: no link",
    ),
    (
        "articles",
        "is_stub",
        "other articles name its URL, but no document of its own was accepted yet",
        "named by others, its own document has not come",
    ),
    (
        "articles",
        "orphaned_at",
        "since when no document describes it and no article names it; retention deletes it",
        "nobody tells or names it any more; maintenance removes it",
    ),
    (
        "articles",
        "secured",
        "the secured value as received; not part of content_hash",
        "opaque; no part of content_hash",
    ),
    (
        "articles",
        "document_id",
        "the document that the article shows: the newest live one that describes it",
        "the newest live document that tells it",
    ),
    (
        "articles",
        "named_by",
        "of a stub: the article whose related entry it shows",
        "a stub's: the article whose entry it shows",
    ),
    (
        "articles",
        "revision",
        "revision of the document or entry that it shows",
        "of the document or entry that it shows",
    ),
    (
        "articles",
        "link_state",
        "pending: this version is not linked yet; provisional or outdated: it is linked again later; linked",
        "pending: the linker has not seen this version",
    ),
    ("documents", "doc_hash", "identity of the document: hash of source and key", "identity: of source and key"),
    (
        "documents",
        "key",
        "the key that the producer chose, else the canonical URL",
        "the producer's, else the canonical URL",
    ),
    ("documents", "revision", "revision of the latest accepted version", "of its latest accepted version"),
    (
        "documents",
        "article_hash",
        "url_hash of the article that it describes; of a reference document the hash of its subject",
        "url_hash of the article it tells, or identity of a reference's subject",
    ),
    (
        "documents",
        "taxonomy",
        "organization or topic: a reference document, which describes no article",
        "organization or topic: a reference document, which tells no article",
    ),
    ("documents", "retracted", "a retracted document stays as a tombstone forever", "a tombstone; never expires"),
    (
        "documents",
        "url_retraction",
        "revision of the newest retraction of the key, if the key is a URL",
        "of the newest retraction of its key, where that is a URL",
    ),
    (
        "documents",
        "fingerprint",
        "hash of the raw bytes without secured; a document with a known fingerprint is not parsed again",
        "of the raw bytes but for secured: recognises an unchanged document unread",
    ),
    (
        "documents",
        "form",
        "the validated, enriched document as JSON, from which an article can be shown again",
        "the validated, enriched form as JSON: an article can fall back to it",
    ),
    ("documents", "pipeline_version", "version of the pipeline that wrote form", "by which its form was made"),
    (
        "article_urls",
        "claim",
        "the field with the URL: web, source, original, amp, cdn_amp",
        "web, source, original, amp, cdn_amp",
    ),
    ("article_urls", "url_hash", "hash of the canonical form", "of its canonical form"),
    ("article_urls", "url", "as written in the document", "as written"),
    ("images", "is_placeholder", "the same image appears under several titles", "one image under several titles"),
    ("links", "target_hash", "hash of the URL that the article names", "of the URL that was named"),
    ("links", "target_id", "the article that the URL resolves to now", "what that URL means now"),
    (
        "reference_state",
        "token",
        "random; changes with each change of a reference document",
        "another after each change of a reference document",
    ),
    (
        "enrichment_work",
        "kind",
        "names: choose the name of a provider; articles: enrich those of a provider again, or all (0)",
        "names: of a provider; articles: of a provider, or of all (0)",
    ),
    ("enrichment_work", "cursor", "id of the last article that was processed", "the last article that is done"),
    ("enrichment_work", "total", "number of articles when the work began", "articles when it began"),
    (
        "enrichment_work",
        "version",
        "random; changes when the work is added again",
        "random; another one when it is added again",
    ),
    (
        "url_work",
        "kind",
        "image: count its titles; target: update links to the article that the URL resolves to",
        "image: count its titles; target: point links to its meaning",
    ),
    ("url_work", "cursor", "id of the last article that was processed", "the last article that is done"),
    (
        "url_work",
        "version",
        "random; changes when the work is added again",
        "random; another one when it is added again",
    ),
    ("document_frequencies", "day", "a complete day; articles count on the day they arrived", "of arrival, completed"),
    (
        "document_frequencies",
        "counts",
        "in how many articles of the day each hashed feature occurs, compressed",
        "in how many of them each hashed feature occurs, compressed",
    ),
    ("leaders", "role", "a role that one process at a time may have", "what only one process may do"),
    (
        "leaders",
        "token",
        "fencing token: greater with each leader, checked in each of its writes",
        "fences: greater with each leader, checked in each of its writes",
    ),
    (
        "leaders",
        "expires_at",
        "end of the lease by the database's clock; then another process may lead",
        "by the database's clock; afterwards anybody may lead",
    ),
    (
        "lanes",
        "highest",
        "the highest entry id that has a receipt, as a revision",
        "the highest id that has a receipt, in the form of revisions",
    ),
    ("raw_documents", "size", "number of bytes that were sent", "bytes that were sent"),
    ("receipts", "id", "the entry id that XADD returned", "what XADD returned"),
    ("dead_letters", "code", "problem code of the first error", "of its first error"),
    ("dead_letters", "edits", "how often an operator edited it", "how often an operator has mended it"),
    ("dead_letter_actions", "raw_sha256", "hash of the text that was sent", "of the text that was sent"),
    (
        "source_hours",
        "at",
        "the hour in which the documents arrived",
        "when the hour begins in which the documents arrived",
    ),
    ("source_hours", "first_at", "when the first document of the hour arrived", "arrival of the first"),
    ("source_rhythms", "lane", "lane of the newest document", "of its newest document"),
    ("source_rhythms", "last_at", "when the newest document arrived", "arrival of its newest document"),
    ("source_rhythms", "last_hour", "the newest hour in source_hours", "the newest of its source_hours"),
    (
        "source_rhythms",
        "gaps",
        "number of gaps between documents that were measured; 0: too few",
        "from which it was learnt; 0: too few",
    ),
    ("source_rhythms", "usual_gap", "median gap in seconds", "seconds; the median"),
    ("source_rhythms", "long_gap", "95th percentile of the gaps in seconds", "seconds; the 95th percentile"),
    ("source_rhythms", "longest_gap", "longest gap in seconds", "seconds"),
    (
        "source_rhythms",
        "recent_documents",
        "how many of the newest documents are considered: about 50, or those of one roll-up",
        "its newest documents, about 50 or one roll-up",
    ),
    (
        "roll_ups",
        "after_id",
        "of the word index: articles that changed at until are indexed up to this id",
        "of words: articles changed at until, up to it",
    ),
    (
        "standstills",
        "began",
        "when a working worker was seen for the last time before it",
        "the last sign of a working worker before it",
    ),
    (
        "operator_actions",
        "action",
        "as in the commands, such as lane pause",
        "in the words of the commands, like lane pause",
    ),
    ("operator_actions", "subject", "what it was applied to", "to what"),
)
"""(table, column, new comment, old comment)"""


def upgrade() -> None:
    for table, column, new, _ in COMMENTS:
        _comment(table, column, new)


def downgrade() -> None:
    for table, column, _, old in COMMENTS:
        _comment(table, column, old)


def _comment(table: str, column: str, comment: str) -> None:
    if op.get_bind().dialect.name == "postgresql":
        quoted = comment.replace("'", "''")
        op.execute(f"COMMENT ON COLUMN {table}.{column} IS '{quoted}'")
