"""An index of the articles whose links are of an older rule, and which the linker links again"""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

OUTDATED = sa.text("link_state = 'outdated'")


def upgrade() -> None:
    op.create_index(
        "ix_articles_outdated", "articles", ["published_at"], postgresql_where=OUTDATED, sqlite_where=OUTDATED
    )


def downgrade() -> None:
    # The code of before does not know the state; their links are as valid as ever.
    op.execute("UPDATE articles SET link_state = 'linked' WHERE link_state = 'outdated'")
    op.drop_index("ix_articles_outdated", "articles")
