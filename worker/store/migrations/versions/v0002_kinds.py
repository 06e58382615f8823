"""Kinds, reference documents, and what the desk adds

Rows of older stores get the new columns empty: `copydesk reprocess --behind` fills them.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")

_COMMENTS = (
    ("providers", "name", "its reference document's, else the one most articles say"),
    ("articles", "heat", "by the rules (worker/enrichment/heat.py); as reported where there is no quality"),
    ("documents", "article_hash", "url_hash of the article it tells, or identity of a reference's subject"),
)


def _columns() -> dict[str, list[sa.Column[Any]]]:
    def json(name: str, empty: str, comment: str | None = None) -> sa.Column[Any]:
        return sa.Column(name, JSON, nullable=False, server_default=empty, comment=comment)

    time = sa.DateTime(timezone=True)
    return {
        "providers": [
            sa.Column("description", sa.Text(), nullable=True),
            json("images", "[]", "logos, as its reference document has them"),
            json("extra", "{}"),
            sa.Column("document_id", ID, nullable=True, comment="the newest live reference document of its domain"),
        ],
        "topics": [
            sa.Column("parent_id", ID, nullable=True, comment="the topic above it"),
            sa.Column("description", sa.Text(), nullable=True),
            json("keywords", "[]", "words by which it is inferred"),
            json("hashtags", "[]"),
            json("images", "[]"),
            json("extra", "{}"),
            sa.Column("document_id", ID, nullable=True, comment="the newest live reference document of its name"),
        ],
        "articles": [
            sa.Column(
                "provider_name", sa.Text(), nullable=True, comment="the provider's name as this document says it"
            ),
            sa.Column("duration_seconds", sa.Integer(), nullable=True),
            sa.Column("starts_at", time, nullable=True),
            sa.Column("ends_at", time, nullable=True),
            json("details", "{}", "typed fields that only some kinds have"),
            sa.Column("image_url", sa.Text(), nullable=True, comment="the best image: no placeholder, large enough"),
            sa.Column(
                "lead_id",
                ID,
                nullable=True,
                comment="the article that leads its story, by the rules of heat; itself where it does",
            ),
            sa.Column(
                "related_count", sa.Integer(), nullable=True, comment="entries of related as its document has them"
            ),
            sa.Column(
                "unlinked", JSON, nullable=True, comment="[quality, time, title] of entries of related without URL"
            ),
        ],
        "documents": [
            sa.Column(
                "taxonomy",
                sa.Text(),
                nullable=True,
                comment="organization or topic: a reference document, which tells no article",
            ),
            sa.Column("pipeline_version", sa.Integer(), nullable=True, comment="by which its form was made"),
        ],
        "images": [
            sa.Column("url_hash", sa.LargeBinary(length=16), nullable=True),
            sa.Column(
                "is_placeholder",
                sa.Boolean(),
                nullable=False,
                server_default=sa.false(),
                comment="one image under several titles",
            ),
        ],
    }


def upgrade() -> None:
    for table, columns in _columns().items():
        for column in columns:
            op.add_column(table, column)
    op.create_index("ix_articles_starts_at", "articles", ["starts_at"], unique=False)
    op.create_index("ix_images_url_hash", "images", ["url_hash"], unique=False)
    # SQLite keeps no comments, and altering a column there would copy the table and cascade to its children.
    if op.get_bind().dialect.name == "postgresql":
        for table, name, comment in _COMMENTS:
            op.alter_column(table, name, comment=comment)
    op.create_table(
        "placeholder_images",
        sa.Column("url_hash", sa.LargeBinary(length=16), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("url_hash", name=op.f("pk_placeholder_images")),
    )
    op.create_table(
        "reference_state",
        sa.Column("name", sa.String(length=16), nullable=False),
        sa.Column(
            "token", sa.String(length=32), nullable=False, comment="another after each change of a reference document"
        ),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_reference_state")),
    )
    op.create_table(
        "enrichment_work",
        sa.Column(
            "kind",
            sa.String(length=16),
            nullable=False,
            comment="names: of a provider; articles: of a provider, or of all (0)",
        ),
        sa.Column("subject_id", ID, autoincrement=False, nullable=False),
        sa.Column("cursor", ID, nullable=False, comment="the last article that is done"),
        sa.Column("done", sa.Integer(), nullable=False),
        sa.Column("total", sa.Integer(), nullable=False, comment="articles when it began"),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("kind", "subject_id", name=op.f("pk_enrichment_work")),
    )


def downgrade() -> None:
    for table in ("enrichment_work", "reference_state", "placeholder_images"):
        op.drop_table(table)
    op.drop_index("ix_images_url_hash", "images")
    op.drop_index("ix_articles_starts_at", "articles")
    for table, columns in _columns().items():
        for column in columns:
            op.drop_column(table, column.name)
