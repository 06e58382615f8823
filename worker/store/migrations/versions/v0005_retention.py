"""Retention: indexes by which maintenance finds what nothing needs; PostgreSQL cleans up behind it sooner"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

ORPHANED = sa.text("orphaned_at IS NOT NULL")
_VACUUM = {
    # By default a fifth of a table must have changed: in one that grows for ever that is days of rows, and then one long
    # clean-up. These clean up a little, often.
    "receipts": "autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.05",
    "raw_documents": "autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.05",
    "documents": "autovacuum_vacuum_scale_factor = 0.05",
    "articles": "autovacuum_vacuum_scale_factor = 0.05",
    "links": "autovacuum_vacuum_scale_factor = 0.05",
}


def upgrade() -> None:
    op.create_index(
        "ix_articles_orphaned_at", "articles", ["orphaned_at"], postgresql_where=ORPHANED, sqlite_where=ORPHANED
    )
    op.create_index("ix_documents_raw_sha256", "documents", ["raw_sha256"], postgresql_using="hash")
    op.create_index("ix_dead_letters_created_at", "dead_letters", ["created_at"])
    op.create_index("ix_dead_letters_raw_sha256", "dead_letters", ["raw_sha256"], postgresql_using="hash")
    if op.get_bind().dialect.name == "postgresql":
        for table, options in _VACUUM.items():
            op.execute(f"ALTER TABLE {table} SET ({options})")


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        for table in _VACUUM:
            op.execute(
                f"ALTER TABLE {table} RESET (autovacuum_vacuum_scale_factor, autovacuum_vacuum_insert_scale_factor)"
            )
    op.drop_index("ix_dead_letters_raw_sha256", "dead_letters")
    op.drop_index("ix_dead_letters_created_at", "dead_letters")
    op.drop_index("ix_documents_raw_sha256", "documents")
    op.drop_index("ix_articles_orphaned_at", "articles")
