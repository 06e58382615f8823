"""PostgreSQL only: how large values are kept, and room for updates in place"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

LARGE = (("raw_documents", "bytes"), ("documents", "form"))
# Each article is judged right after it is written, each document's revision moves with every delivery: with room on
# their page such updates leave the indexes alone.
FILL = (("articles", 80), ("documents", 85))


def upgrade() -> None:
    if op.get_bind().dialect.name != "postgresql":
        return
    methods = op.get_bind().scalar(sa.text("SELECT enumvals FROM pg_settings WHERE name = 'default_toast_compression'"))
    # Compressing by pglz takes a third of the server's CPU for a document. Where lz4 is missing, space is what it costs.
    how = "COMPRESSION lz4" if methods and "lz4" in methods else "STORAGE EXTERNAL"
    for table, column in LARGE:
        op.execute(f"ALTER TABLE {table} ALTER COLUMN {column} SET {how}")
    for table, share in FILL:
        op.execute(f"ALTER TABLE {table} SET (fillfactor = {share})")


def downgrade() -> None:
    if op.get_bind().dialect.name != "postgresql":
        return
    for table, column in LARGE:
        op.execute(f"ALTER TABLE {table} ALTER COLUMN {column} SET STORAGE EXTENDED")
        op.execute(f"ALTER TABLE {table} ALTER COLUMN {column} SET COMPRESSION default")
    for table, _ in FILL:
        op.execute(f"ALTER TABLE {table} RESET (fillfactor)")
