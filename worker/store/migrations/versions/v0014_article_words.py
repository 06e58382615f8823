"""An index of the words of titles and excerpts, which is filled behind the ingest; when Copydesk stood still"""

import sqlalchemy as sa
from alembic import op

from worker.store.columns import UtcDateTime

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_FTS5 = """
CREATE VIRTUAL TABLE article_words USING fts5 (
    words, detail = 'none', columnsize = 0, tokenize = "unicode61 remove_diacritics 0 categories 'L* N* M*'"
)
"""


def upgrade() -> None:
    op.create_index("ix_articles_changed_at", "articles", ["changed_at", "id"])
    comment = "of words: articles changed at until, up to it"
    op.add_column("roll_ups", sa.Column("after_id", _ID, nullable=False, server_default="0", comment=comment))
    op.create_table(
        "standstills",
        sa.Column("began", UtcDateTime, primary_key=True, comment="the last sign of a working worker before it"),
        sa.Column("ended", UtcDateTime, nullable=False),
    )
    connection = op.get_bind()
    if connection.dialect.name == "postgresql":
        op.execute("CREATE TABLE article_words (article_id bigint PRIMARY KEY, words tsvector NOT NULL)")
        op.execute("CREATE INDEX ix_article_words_words ON article_words USING gin (words)")
    elif connection.scalar(sa.text("SELECT sqlite_compileoption_used('ENABLE_FTS5')")):
        op.execute(_FTS5)


def downgrade() -> None:
    op.drop_table("standstills")
    op.execute("DROP TABLE IF EXISTS article_words")
    op.execute("DELETE FROM roll_ups WHERE name IN ('words', 'worked')")
    op.drop_column("roll_ups", "after_id")
    op.drop_index("ix_articles_changed_at", "articles")
