"""Background work on URLs, and indexes that find the newest document of an article and the namers of a URL in steps"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_INDEXES = (
    ("ix_documents_article_hash", "documents", ["article_hash"], ["article_hash", "revision"]),
    ("ix_links_target_hash", "links", ["target_hash"], ["target_hash", "source_id"]),
    ("ix_links_target_id", "links", ["target_id"], ["target_id", "source_id"]),
)


def upgrade() -> None:
    for name, table, _, columns in _INDEXES:
        op.drop_index(name, table)
        op.create_index(name, table, columns)
    op.add_column("enrichment_work", sa.Column("version", sa.BigInteger(), nullable=False, server_default="1",
                                               comment="random; another one when it is added again"))  # fmt: skip
    op.add_column("enrichment_work", sa.Column("started", sa.BigInteger(), nullable=False, server_default="0",
                                               comment="the version when this pass began"))  # fmt: skip
    op.create_table(
        "url_work",
        sa.Column("kind", sa.String(16), nullable=False,
                  comment="image: count its titles; target: point links to its meaning"),
        sa.Column("url_hash", sa.LargeBinary(16), nullable=False),
        sa.Column("cursor", _ID, nullable=False, comment="the last article that is done"),
        sa.Column("version", sa.BigInteger(), nullable=False, comment="random; another one when it is added again"),
        sa.Column("started", sa.BigInteger(), nullable=False, comment="the version when this pass began"),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("kind", "url_hash", name=op.f("pk_url_work")),
    )  # fmt: skip


def downgrade() -> None:
    op.drop_table("url_work")
    op.execute("DELETE FROM enrichment_work WHERE kind = 'peers'")
    op.drop_column("enrichment_work", "started")
    op.drop_column("enrichment_work", "version")
    for name, table, columns, _ in _INDEXES:
        op.drop_index(name, table)
        op.create_index(name, table, columns)
