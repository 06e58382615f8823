"""No foreign keys of the rows of articles, no index of the targets of links: two fifths of the database's time for a document"""

from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

_KEYS = {
    "links": (("source_id", "articles", "CASCADE"), ("target_id", "articles", None)),
    "article_urls": (("article_id", "articles", "CASCADE"),),
    "images": (("article_id", "articles", "CASCADE"),),
    "article_topics": (("article_id", "articles", "CASCADE"), ("topic_id", "topics", None)),
}
"""Table → column, the table that it refers to, and what a deletion there does."""


def upgrade() -> None:
    op.drop_index("ix_links_target_id", "links")
    for name, keys in _KEYS.items():
        with op.batch_alter_table(name) as table:
            for column, other, _ in keys:
                table.drop_constraint(f"fk_{name}_{column}_{other}", type_="foreignkey")


def downgrade() -> None:
    op.execute("UPDATE links SET target_id = NULL WHERE target_id NOT IN (SELECT id FROM articles)")
    for name, keys in _KEYS.items():
        for column, other, _ in keys:
            op.execute(f"DELETE FROM {name} WHERE {column} NOT IN (SELECT id FROM {other})")  # noqa: S608  names from above
        with op.batch_alter_table(name) as table:
            for column, other, deletion in keys:
                table.create_foreign_key(f"fk_{name}_{column}_{other}", other, [column], ["id"], ondelete=deletion)
    op.create_index("ix_links_target_id", "links", ["target_id", "source_id"])
