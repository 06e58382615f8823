"""The first schema"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
REVISION = sa.String(length=160).with_variant(sa.String(length=160, collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "dead_letters",
        sa.Column("id", ID, nullable=False),
        sa.Column("lane", sa.Text(), nullable=False),
        sa.Column("receipt_id", sa.String(length=48), nullable=False),
        sa.Column("op", sa.String(length=16), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=True),
        sa.Column("revision", REVISION, nullable=False),
        sa.Column("raw_sha256", sa.LargeBinary(length=32), nullable=True),
        sa.Column("code", sa.Text(), nullable=False, comment="of its first error"),
        sa.Column("problems", JSON, nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False, comment="open, replayed or discarded"),
        sa.Column("edits", sa.Integer(), nullable=False, comment="how often an operator has mended it"),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dead_letters")),
    )
    with op.batch_alter_table("dead_letters", schema=None) as batch_op:
        batch_op.create_index("ix_dead_letters_receipt", ["lane", "receipt_id"], unique=True)
        batch_op.create_index("ix_dead_letters_status", ["status", "code"], unique=False)

    op.create_table(
        "documents",
        sa.Column("id", ID, nullable=False),
        sa.Column("doc_hash", sa.LargeBinary(length=16), nullable=False, comment="identity: of source and key"),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False, comment="the producer's, else the canonical URL"),
        sa.Column("revision", REVISION, nullable=False, comment="of its latest accepted version"),
        sa.Column("article_hash", sa.LargeBinary(length=16), nullable=True, comment="url_hash of the article it tells"),
        sa.Column("retracted", sa.Boolean(), nullable=False, comment="a tombstone; never expires"),
        sa.Column("raw_sha256", sa.LargeBinary(length=32), nullable=True),
        sa.Column(
            "fingerprint",
            sa.LargeBinary(length=16),
            nullable=True,
            comment="of the raw bytes but for secured: recognises an unchanged document unread",
        ),
        sa.Column("content_hash", sa.LargeBinary(length=16), nullable=True),
        sa.Column(
            "form",
            sa.Text(),
            nullable=True,
            comment="the validated, enriched form as JSON: an article can fall back to it",
        ),
        sa.Column("secured", sa.Text(), nullable=True),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_documents")),
        sa.UniqueConstraint("doc_hash", name=op.f("uq_documents_doc_hash")),
    )
    with op.batch_alter_table("documents", schema=None) as batch_op:
        batch_op.create_index("ix_documents_article_hash", ["article_hash"], unique=False)
        batch_op.create_index("ix_documents_fingerprint", ["fingerprint"], unique=False)
        batch_op.create_index("ix_documents_key", ["key"], unique=False, postgresql_using="hash")

    op.create_table(
        "lanes",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column(
            "highest", REVISION, nullable=False, comment="the highest id that has a receipt, in the form of revisions"
        ),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_lanes")),
    )
    op.create_table(
        "providers",
        sa.Column("id", ID, nullable=False),
        sa.Column("domain", sa.Text(), nullable=False, comment="registrable domain"),
        sa.Column("name", sa.Text(), nullable=True, comment="the first name it was seen under"),
        sa.Column("other_names", JSON, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_providers")),
        sa.UniqueConstraint("domain", name=op.f("uq_providers_domain")),
    )
    op.create_table(
        "raw_documents",
        sa.Column("sha256", sa.LargeBinary(length=32), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False, comment="bytes that were sent"),
        sa.Column(
            "bytes", sa.LargeBinary(), nullable=False, comment="all of them, or beyond the size limit the first 64 KiB"
        ),
        sa.Column("last_seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("sha256", name=op.f("pk_raw_documents")),
    )
    with op.batch_alter_table("raw_documents", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_raw_documents_last_seen_at"), ["last_seen_at"], unique=False)

    op.create_table(
        "receipts",
        sa.Column("lane", sa.Text(), nullable=False),
        sa.Column("id", sa.String(length=48), nullable=False, comment="what XADD returned"),
        sa.Column("outcome", sa.String(length=16), nullable=False),
        sa.Column("op", sa.String(length=16), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=True),
        sa.Column("url", sa.Text(), nullable=True),
        sa.Column("article_id", ID, nullable=True),
        sa.Column("document_id", ID, nullable=True),
        sa.Column("raw_sha256", sa.LargeBinary(length=32), nullable=True),
        sa.Column("problems", JSON, nullable=False),
        sa.Column("changed", JSON, nullable=False, comment="names of the fields an update changed"),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("settled_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("worker", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("trace_id", sa.String(length=32), nullable=True),
        sa.Column("timings", JSON, nullable=False, comment="milliseconds of each stage of its batch"),
        sa.PrimaryKeyConstraint("lane", "id", name=op.f("pk_receipts")),
    )
    with op.batch_alter_table("receipts", schema=None) as batch_op:
        batch_op.create_index("ix_receipts_article_id", ["article_id"], unique=False)
        batch_op.create_index("ix_receipts_document_id", ["document_id"], unique=False)
        batch_op.create_index("ix_receipts_key", ["key"], unique=False, postgresql_using="hash")
        batch_op.create_index("ix_receipts_settled_at", ["settled_at"], unique=False)

    op.create_table(
        "stories",
        sa.Column("id", ID, nullable=False),
        sa.Column("lead_id", ID, nullable=True),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("first_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stories")),
    )
    op.create_table(
        "topics",
        sa.Column("id", ID, nullable=False),
        sa.Column("slug", sa.Text(), nullable=False, comment="the name, case-folded"),
        sa.Column("name", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_topics")),
        sa.UniqueConstraint("slug", name=op.f("uq_topics_slug")),
    )
    op.create_table(
        "articles",
        sa.Column("id", ID, nullable=False),
        sa.Column("canonical_url", sa.Text(), nullable=True, comment="null: known by its document's source and key"),
        sa.Column(
            "url_hash",
            sa.LargeBinary(length=16),
            nullable=False,
            comment="identity: of the canonical URL, or of source and key",
        ),
        sa.Column("kind", sa.Text(), nullable=True),
        sa.Column("category", sa.Text(), nullable=True),
        sa.Column("title", sa.Text(), nullable=True),
        sa.Column("excerpt", sa.Text(), nullable=True),
        sa.Column("body", sa.Text(), nullable=True),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=True, comment="as the document says"),
        sa.Column("provider_id", ID, nullable=True),
        sa.Column("language", sa.Text(), nullable=True),
        sa.Column("quality", sa.Integer(), nullable=True),
        sa.Column("reported_heat", sa.Integer(), nullable=True),
        sa.Column("heat", sa.Integer(), nullable=True),
        sa.Column("reported_published", sa.Boolean(), nullable=True),
        sa.Column("is_published", sa.Boolean(), nullable=True),
        sa.Column("is_stub", sa.Boolean(), nullable=False, comment="named by others, its own document has not come"),
        sa.Column(
            "orphaned_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="nobody tells or names it any more; maintenance removes it",
        ),
        sa.Column("story_id", ID, nullable=True),
        sa.Column("secured", sa.Text(), nullable=True, comment="opaque; no part of content_hash"),
        sa.Column("extra", JSON, nullable=False, comment="fields without a column"),
        sa.Column("content_hash", sa.LargeBinary(length=16), nullable=True),
        sa.Column("document_id", ID, nullable=True, comment="the newest live document that tells it"),
        sa.Column("named_by", ID, nullable=True, comment="a stub's: the article whose entry it shows"),
        sa.Column("revision", REVISION, nullable=False, comment="of the document or entry that it shows"),
        sa.Column("pipeline_version", sa.Integer(), nullable=True),
        sa.Column(
            "link_state", sa.String(length=16), nullable=False, comment="pending: the linker has not seen this version"
        ),
        sa.Column("first_seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["provider_id"], ["providers.id"], name=op.f("fk_articles_provider_id_providers")),
        sa.ForeignKeyConstraint(["story_id"], ["stories.id"], name=op.f("fk_articles_story_id_stories")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_articles")),
        sa.UniqueConstraint("url_hash", name=op.f("uq_articles_url_hash")),
    )
    with op.batch_alter_table("articles", schema=None) as batch_op:
        batch_op.create_index("ix_articles_provider_id", ["provider_id"], unique=False)
        batch_op.create_index("ix_articles_published_at", ["published_at"], unique=False)
        batch_op.create_index("ix_articles_story_id", ["story_id"], unique=False)

    op.create_table(
        "dead_letter_actions",
        sa.Column("id", ID, nullable=False),
        sa.Column("dead_letter_id", ID, nullable=False),
        sa.Column(
            "action", sa.String(length=16), nullable=False, comment="edited, replayed, passed, failed or discarded"
        ),
        sa.Column("who", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("raw_sha256", sa.LargeBinary(length=32), nullable=True, comment="of the text that was sent"),
        sa.ForeignKeyConstraint(
            ["dead_letter_id"],
            ["dead_letters.id"],
            name=op.f("fk_dead_letter_actions_dead_letter_id_dead_letters"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dead_letter_actions")),
    )
    with op.batch_alter_table("dead_letter_actions", schema=None) as batch_op:
        batch_op.create_index("ix_dead_letter_actions_dead_letter_id", ["dead_letter_id"], unique=False)

    op.create_table(
        "article_topics",
        sa.Column("article_id", ID, nullable=False),
        sa.Column("topic_id", ID, nullable=False),
        sa.Column("rank", sa.Integer(), nullable=False),
        sa.Column("origin", sa.String(length=16), nullable=False, comment="stated or inferred"),
        sa.ForeignKeyConstraint(
            ["article_id"], ["articles.id"], name=op.f("fk_article_topics_article_id_articles"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["topic_id"], ["topics.id"], name=op.f("fk_article_topics_topic_id_topics")),
        sa.PrimaryKeyConstraint("article_id", "topic_id", name=op.f("pk_article_topics")),
    )
    with op.batch_alter_table("article_topics", schema=None) as batch_op:
        batch_op.create_index("ix_article_topics_topic_id", ["topic_id"], unique=False)

    op.create_table(
        "article_urls",
        sa.Column("article_id", ID, nullable=False),
        sa.Column("claim", sa.String(length=16), nullable=False, comment="web, source, original, amp, cdn_amp"),
        sa.Column("url_hash", sa.LargeBinary(length=16), nullable=False, comment="of its canonical form"),
        sa.Column("url", sa.Text(), nullable=False, comment="as written"),
        sa.ForeignKeyConstraint(
            ["article_id"], ["articles.id"], name=op.f("fk_article_urls_article_id_articles"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("article_id", "claim", "url_hash", name=op.f("pk_article_urls")),
    )
    with op.batch_alter_table("article_urls", schema=None) as batch_op:
        batch_op.create_index("ix_article_urls_url_hash", ["url_hash"], unique=False)

    op.create_table(
        "images",
        sa.Column("article_id", ID, nullable=False),
        sa.Column("rank", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("width", sa.Integer(), nullable=True),
        sa.Column("height", sa.Integer(), nullable=True),
        sa.Column("is_cached", sa.Boolean(), nullable=True),
        sa.Column("title", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["article_id"], ["articles.id"], name=op.f("fk_images_article_id_articles"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("article_id", "rank", name=op.f("pk_images")),
    )
    op.create_table(
        "links",
        sa.Column("source_id", ID, nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False, comment="related, similar, duplicate, contains"),
        sa.Column("target_hash", sa.LargeBinary(length=16), nullable=False, comment="of the URL that was named"),
        sa.Column("target_id", ID, nullable=True, comment="what that URL means now"),
        sa.Column("rank", sa.Integer(), nullable=True),
        sa.Column("score", sa.Float(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["source_id"], ["articles.id"], name=op.f("fk_links_source_id_articles"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["target_id"], ["articles.id"], name=op.f("fk_links_target_id_articles")),
        sa.PrimaryKeyConstraint("source_id", "kind", "target_hash", name=op.f("pk_links")),
    )
    with op.batch_alter_table("links", schema=None) as batch_op:
        batch_op.create_index("ix_links_target_hash", ["target_hash"], unique=False)
        batch_op.create_index("ix_links_target_id", ["target_id"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("links", schema=None) as batch_op:
        batch_op.drop_index("ix_links_target_id")
        batch_op.drop_index("ix_links_target_hash")

    op.drop_table("links")
    op.drop_table("images")
    with op.batch_alter_table("article_urls", schema=None) as batch_op:
        batch_op.drop_index("ix_article_urls_url_hash")

    op.drop_table("article_urls")
    with op.batch_alter_table("article_topics", schema=None) as batch_op:
        batch_op.drop_index("ix_article_topics_topic_id")

    op.drop_table("article_topics")
    with op.batch_alter_table("dead_letter_actions", schema=None) as batch_op:
        batch_op.drop_index("ix_dead_letter_actions_dead_letter_id")

    op.drop_table("dead_letter_actions")
    with op.batch_alter_table("articles", schema=None) as batch_op:
        batch_op.drop_index("ix_articles_story_id")
        batch_op.drop_index("ix_articles_published_at")
        batch_op.drop_index("ix_articles_provider_id")

    op.drop_table("articles")
    op.drop_table("topics")
    op.drop_table("stories")
    with op.batch_alter_table("receipts", schema=None) as batch_op:
        batch_op.drop_index("ix_receipts_settled_at")
        batch_op.drop_index("ix_receipts_key", postgresql_using="hash")
        batch_op.drop_index("ix_receipts_document_id")
        batch_op.drop_index("ix_receipts_article_id")

    op.drop_table("receipts")
    with op.batch_alter_table("raw_documents", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_raw_documents_last_seen_at"))

    op.drop_table("raw_documents")
    op.drop_table("providers")
    op.drop_table("lanes")
    with op.batch_alter_table("documents", schema=None) as batch_op:
        batch_op.drop_index("ix_documents_key", postgresql_using="hash")
        batch_op.drop_index("ix_documents_fingerprint")
        batch_op.drop_index("ix_documents_article_hash")

    op.drop_table("documents")
    with op.batch_alter_table("dead_letters", schema=None) as batch_op:
        batch_op.drop_index("ix_dead_letters_status")
        batch_op.drop_index("ix_dead_letters_receipt")

    op.drop_table("dead_letters")
