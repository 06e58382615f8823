"""An index of the articles that the linker links again, on a day whose word frequencies are not known yet"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

PROVISIONAL = sa.text("link_state = 'provisional'")


def upgrade() -> None:
    op.create_index(
        "ix_articles_provisional", "articles", ["changed_at"], postgresql_where=PROVISIONAL, sqlite_where=PROVISIONAL
    )


def downgrade() -> None:
    # The code of before links pending articles only.
    op.execute("UPDATE articles SET link_state = 'pending' WHERE link_state = 'provisional'")
    op.drop_index("ix_articles_provisional", "articles")
