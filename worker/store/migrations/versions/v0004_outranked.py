"""Heat by what a document says of its related articles, in place of those of them that have no URL"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")


def upgrade() -> None:
    # What the column held cannot be told as the new one: articles get it when they are reprocessed.
    op.drop_column("articles", "unlinked")
    op.add_column(
        "articles",
        sa.Column(
            "outranked_by",
            sa.Integer(),
            nullable=True,
            comment="rank of the related entry that leads as its document says; -1: no link",
        ),
    )


def downgrade() -> None:
    op.drop_column("articles", "outranked_by")
    op.add_column(
        "articles",
        sa.Column("unlinked", JSON, nullable=True, comment="[quality, time, title] of entries of related without URL"),
    )
