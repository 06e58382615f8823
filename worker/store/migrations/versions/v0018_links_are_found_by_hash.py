"""Links without foreign keys and without an index of their targets: both took two fifths of the database's time for a document"""

from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

_SOURCE, _TARGET = "fk_links_source_id_articles", "fk_links_target_id_articles"


def upgrade() -> None:
    op.drop_index("ix_links_target_id", "links")
    with op.batch_alter_table("links") as table:
        table.drop_constraint(_SOURCE, type_="foreignkey")
        table.drop_constraint(_TARGET, type_="foreignkey")


def downgrade() -> None:
    op.execute("DELETE FROM links WHERE source_id NOT IN (SELECT id FROM articles)")
    op.execute("UPDATE links SET target_id = NULL WHERE target_id NOT IN (SELECT id FROM articles)")
    with op.batch_alter_table("links") as table:
        table.create_foreign_key(_SOURCE, "articles", ["source_id"], ["id"], ondelete="CASCADE")
        table.create_foreign_key(_TARGET, "articles", ["target_id"], ["id"])
    op.create_index("ix_links_target_id", "links", ["target_id", "source_id"])
