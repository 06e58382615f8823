"""PostgreSQL only: room on the pages of articles for a second version of each row"""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

# A row has some 1.3 kB. At 80 a page kept room for one second version among five: two of three heats were written
# elsewhere, with an entry in each index, and the table was twice as large in the end anyway.
FILL = 50


def upgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute(f"ALTER TABLE articles SET (fillfactor = {FILL})")


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER TABLE articles SET (fillfactor = 80)")
