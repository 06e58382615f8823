"""The alarms of silence that ended, and since when a source can have alarms"""

import sqlalchemy as sa
from alembic import op

from worker.store.columns import UtcDateTime

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "past_silences",
        sa.Column("source", sa.Text, primary_key=True),
        sa.Column("site", sa.Text, primary_key=True, comment="as in source_hours"),
        sa.Column("began", UtcDateTime, primary_key=True, comment="the last document before it"),
        sa.Column("ended", UtcDateTime, nullable=False, comment="a document came, or the alarm was a month old"),
    )
    comment = "when it had enough gaps for alarms; null: too few"
    op.add_column("source_rhythms", sa.Column("known_since", UtcDateTime, comment=comment))


def downgrade() -> None:
    op.drop_column("source_rhythms", "known_since")
    op.drop_table("past_silences")
