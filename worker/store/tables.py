"""The tables, defined once for SQLite and PostgreSQL. Times are in UTC. Readers query these names with SQL.

Internal tables are defined in `service_tables.py` and can be imported from here too.
"""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    false,
    text,
)

from worker.store.columns import HASH, ID, JSON_, REVISION, UtcDateTime, metadata
from worker.store.service_tables import (  # fmt: skip
    dead_letter_actions,
    dead_letters,
    document_frequencies,
    enrichment_work,
    lanes,
    leaders,
    operator_actions,
    past_silences,
    raw_documents,
    receipts,
    reference_state,
    roll_ups,
    source_alarms,
    source_hours,
    source_rhythms,
    standstills,
    url_work,
)

providers = Table(
    "providers",
    metadata,
    Column("id", ID, primary_key=True),
    Column("domain", Text, nullable=False, unique=True, comment="registrable domain"),
    Column("name", Text, comment="from its reference document, else the name in most articles"),
    Column("other_names", JSON_, nullable=False),
    Column("description", Text),
    Column("images", JSON_, nullable=False, server_default="[]", comment="logos, from its reference document"),
    Column("extra", JSON_, nullable=False, server_default="{}"),
    Column("document_id", ID, comment="the newest live reference document of its domain"),
)

topics = Table(
    "topics",
    metadata,
    Column("id", ID, primary_key=True),
    Column("slug", Text, nullable=False, unique=True, comment="the name, case-folded"),
    Column("name", Text, nullable=False),
    Column("parent_id", ID, comment="the topic above it"),
    Column("description", Text),
    Column(
        "keywords",
        JSON_,
        nullable=False,
        server_default="[]",
        comment="words in an article from which the topic is inferred",
    ),
    Column("hashtags", JSON_, nullable=False, server_default="[]"),
    Column("images", JSON_, nullable=False, server_default="[]"),
    Column("extra", JSON_, nullable=False, server_default="{}"),
    Column("document_id", ID, comment="the newest live reference document of its name"),
)

stories = Table(
    "stories",
    metadata,
    Column("id", ID, primary_key=True),
    Column("lead_id", ID, comment="the article to show for the story: the best quality, then the earliest"),
    Column(
        "size",
        Integer,
        nullable=False,
        comment="number of articles; 0: the story ended because its articles are in other stories now",
    ),
    Column("first_at", UtcDateTime),
    Column("last_at", UtcDateTime),
    Column(
        "first_id",
        ID,
        comment="the first article of the story; each other one has a link to it, or to three articles of the story",
    ),
    Column("heat", Integer),
    Column("changed_at", UtcDateTime),
    Column("announced_at", UtcDateTime, comment="null: the last change is not in the change feed yet"),
    Index("ix_stories_last_at", "last_at"),
    Index(
        "ix_stories_unannounced",
        "changed_at",
        postgresql_where=text("announced_at IS NULL"),
        sqlite_where=text("announced_at IS NULL"),
    ),
)

articles = Table(
    "articles",
    metadata,
    Column("id", ID, primary_key=True),
    Column("canonical_url", Text, comment="null: the article has no URL; source and key of its document identify it"),
    Column(
        "url_hash",
        HASH,
        nullable=False,
        unique=True,
        comment="identity of the article: hash of the canonical URL, or of source and key",
    ),
    Column("kind", Text),
    Column("category", Text),
    Column("title", Text),
    Column("excerpt", Text),
    Column("body", Text),
    Column("published_at", UtcDateTime),
    Column("updated_at", UtcDateTime, comment="when it was updated, as stated in the document"),
    Column("provider_id", ID, ForeignKey("providers.id")),
    Column("provider_name", Text, comment="the provider's name in this document"),
    Column("language", Text),
    Column("duration_seconds", Integer),
    Column("starts_at", UtcDateTime),
    Column("ends_at", UtcDateTime),
    Column("details", JSON_, nullable=False, server_default="{}", comment="typed fields that only some kinds have"),
    Column("image_url", Text, comment="the best image: no placeholder, large enough"),
    Column("quality", Integer),
    Column("reported_heat", Integer),
    Column("heat", Integer, comment="computed by the rules of heat; the reported value if there is no quality"),
    Column("reported_published", Boolean),
    Column("is_published", Boolean),
    Column(
        "lead_id", ID, comment="the article that leads the related ones by the rules of heat; its own id if it leads"
    ),
    Column("related_count", Integer, comment="number of entries of related in the document"),
    Column(
        "outranked_by",
        Integer,
        comment="rank of the related entry that leads by the values in the document; -1: it is no link",
    ),
    Column(
        "is_stub",
        Boolean,
        nullable=False,
        comment="other articles name its URL, but no document of its own was accepted yet",
    ),
    Column(
        "orphaned_at",
        UtcDateTime,
        comment="since when no document describes it and no article names it; retention deletes it",
    ),
    Column("story_id", ID, ForeignKey("stories.id")),
    Column("secured", Text, comment="the secured value as received; not part of content_hash"),
    Column("extra", JSON_, nullable=False, comment="fields without a column"),
    Column("content_hash", HASH),
    Column("document_id", ID, comment="the document that the article shows: the newest live one that describes it"),
    Column("named_by", ID, comment="of a stub: the article whose related entry it shows"),
    Column("revision", REVISION, nullable=False, comment="revision of the document or entry that it shows"),
    Column("pipeline_version", Integer),
    Column(
        "link_state",
        String(16),
        nullable=False,
        comment="pending: this version is not linked yet; provisional or outdated: it is linked again later; linked",
    ),
    Column("first_seen_at", UtcDateTime, nullable=False),
    Column("changed_at", UtcDateTime, nullable=False),
    Index("ix_articles_published_at", "published_at"),
    Index("ix_articles_provider_id", "provider_id"),
    Index("ix_articles_story_id", "story_id"),
    Index("ix_articles_first_seen_at", "first_seen_at"),
    Index("ix_articles_changed_at", "changed_at", "id"),
    Index(
        "ix_articles_pending",
        "changed_at",
        postgresql_where=text("link_state = 'pending'"),
        sqlite_where=text("link_state = 'pending'"),
    ),
    Index(
        "ix_articles_provisional",
        "changed_at",
        postgresql_where=text("link_state = 'provisional'"),
        sqlite_where=text("link_state = 'provisional'"),
    ),
    Index(
        "ix_articles_outdated",
        "published_at",
        postgresql_where=text("link_state = 'outdated'"),
        sqlite_where=text("link_state = 'outdated'"),
    ),
    Index("ix_articles_starts_at", "starts_at"),
    Index(
        "ix_articles_orphaned_at",
        "orphaned_at",
        postgresql_where=text("orphaned_at IS NOT NULL"),
        sqlite_where=text("orphaned_at IS NOT NULL"),
    ),
)

documents = Table(
    "documents",
    metadata,
    Column("id", ID, primary_key=True),
    Column("doc_hash", HASH, nullable=False, unique=True, comment="identity of the document: hash of source and key"),
    Column("source", Text, nullable=False),
    Column("key", Text, nullable=False, comment="the key that the producer chose, else the canonical URL"),
    Column("revision", REVISION, nullable=False, comment="revision of the latest accepted version"),
    Column(
        "article_hash",
        HASH,
        comment="url_hash of the article that it describes; of a reference document the hash of its subject",
    ),
    Column("taxonomy", Text, comment="organization or topic: a reference document, which describes no article"),
    Column("retracted", Boolean, nullable=False, comment="a retracted document stays as a tombstone forever"),
    Column("url_retraction", REVISION, comment="revision of the newest retraction of the key, if the key is a URL"),
    Column("raw_sha256", LargeBinary(32)),
    Column(
        "fingerprint",
        HASH,
        comment="hash of the raw bytes without secured; a document with a known fingerprint is not parsed again",
    ),
    Column("content_hash", HASH),
    Column("form", Text, comment="the validated, enriched document as JSON, from which an article can be shown again"),
    Column("secured", Text),
    Column("pipeline_version", Integer, comment="version of the pipeline that wrote form"),
    Column("changed_at", UtcDateTime, nullable=False),
    Index("ix_documents_article_hash", "article_hash", "revision"),
    Index("ix_documents_key", "key", postgresql_using="hash"),
    Index("ix_documents_fingerprint", "fingerprint"),
    Index("ix_documents_raw_sha256", "raw_sha256", postgresql_using="hash"),
)

# The following tables have no foreign keys: their checks took a quarter of the database's time for a document. Whoever writes
# their rows or deletes articles holds the writer lock and reads under it which articles exist (`jobs/retention_rules.py`
# deletes their rows too). `copydesk db check` finds
# rows without what they refer to. Links to an article are found by the hashes of the URLs that mean it, not by its id.

article_urls = Table(
    "article_urls",
    metadata,
    Column("article_id", ID, primary_key=True),
    Column(
        "claim", String(16), primary_key=True, comment="the field with the URL: web, source, original, amp, cdn_amp"
    ),
    Column("url_hash", HASH, primary_key=True, comment="hash of the canonical form"),
    Column("url", Text, nullable=False, comment="as written in the document"),
    Index("ix_article_urls_url_hash", "url_hash"),
)

images = Table(
    "images",
    metadata,
    Column("article_id", ID, primary_key=True),
    Column("rank", Integer, primary_key=True, autoincrement=False),
    Column("url", Text, nullable=False),
    Column("width", Integer),
    Column("height", Integer),
    Column("is_cached", Boolean),
    Column("title", Text),
    Column("url_hash", HASH),
    Column(
        "is_placeholder",
        Boolean,
        nullable=False,
        server_default=false(),
        comment="the same image appears under several titles",
    ),
    Index("ix_images_url_hash", "url_hash", "article_id"),
)

placeholder_images = Table(
    "placeholder_images",
    metadata,
    Column("url_hash", HASH, primary_key=True),
    Column("url", Text, nullable=False),
)

article_topics = Table(
    "article_topics",
    metadata,
    Column("article_id", ID, primary_key=True),
    Column("topic_id", ID, primary_key=True),
    Column("rank", Integer, nullable=False),
    Column("origin", String(16), nullable=False, comment="stated or inferred"),
    Index("ix_article_topics_topic_id", "topic_id"),
)

links = Table(
    "links",
    metadata,
    Column("source_id", ID, primary_key=True),
    Column("kind", String(16), primary_key=True, comment="related, similar, duplicate, contains"),
    Column("target_hash", HASH, primary_key=True, comment="hash of the URL that the article names"),
    Column("target_id", ID, comment="the article that the URL resolves to now"),
    Column("rank", Integer),
    Column("score", Float),
    Column("reason", Text),
    Index("ix_links_target_hash", "target_hash", "source_id"),
)

__all__ = [
    "article_topics",
    "article_urls",
    "articles",
    "dead_letter_actions",
    "dead_letters",
    "document_frequencies",
    "documents",
    "enrichment_work",
    "images",
    "lanes",
    "leaders",
    "links",
    "operator_actions",
    "past_silences",
    "placeholder_images",
    "providers",
    "raw_documents",
    "receipts",
    "reference_state",
    "roll_ups",
    "source_alarms",
    "source_hours",
    "source_rhythms",
    "standstills",
    "stories",
    "topics",
    "url_work",
]
