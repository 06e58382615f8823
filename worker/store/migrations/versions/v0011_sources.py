"""What each source sends by the hour, its rhythm, and its alarms"""

import sqlalchemy as sa
from alembic import op

from worker.store.columns import JSON_, UtcDateTime

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "source_hours",
        sa.Column("source", sa.Text, primary_key=True),
        sa.Column("site", sa.Text, primary_key=True, comment="a provider's domain; empty: all documents of the source"),
        sa.Column("at", UtcDateTime, primary_key=True, comment="when the hour begins in which the documents arrived"),
        sa.Column("documents", sa.Integer, nullable=False),
        sa.Column("rejected", sa.Integer, nullable=False),
        sa.Column("first_at", UtcDateTime, nullable=False, comment="arrival of the first"),
        sa.Column("last_at", UtcDateTime, nullable=False),
    )
    op.create_index("ix_source_hours_at", "source_hours", ["at"])
    op.create_table(
        "source_rhythms",
        sa.Column("source", sa.Text, primary_key=True),
        sa.Column("site", sa.Text, primary_key=True, comment="as in source_hours"),
        sa.Column("lane", sa.Text, nullable=False, comment="of its newest document"),
        sa.Column("last_at", UtcDateTime, nullable=False, comment="arrival of its newest document"),
        sa.Column("last_hour", UtcDateTime, nullable=False, comment="the newest of its source_hours"),
        sa.Column("learnt_hour", UtcDateTime, comment="the newest hour from which the columns below were learnt"),
        sa.Column("gaps", sa.Integer, nullable=False, comment="from which it was learnt; 0: too few"),
        sa.Column("usual_gap", sa.Float, comment="seconds; the median"),
        sa.Column("long_gap", sa.Float, comment="seconds; the 95th percentile"),
        sa.Column("longest_gap", sa.Float, comment="seconds"),
        sa.Column("silent_at", UtcDateTime, comment="when its silence becomes an alarm"),
        sa.Column(
            "weekly",
            JSON_,
            nullable=False,
            comment="documents expected in each hour of the week, from Thursday 00:00 UTC",
        ),
        sa.Column("usual_share", sa.Float, comment="rejected share before the last day; null: too few documents"),
        sa.Column(
            "recent_documents", sa.Float, nullable=False, comment="its newest documents, about 50 or one roll-up"
        ),
        sa.Column("recent_rejected", sa.Float, nullable=False, comment="how many of them were rejected"),
    )
    op.create_table(
        "source_alarms",
        sa.Column("source", sa.Text, primary_key=True),
        sa.Column("site", sa.Text, primary_key=True, comment="as in source_hours"),
        sa.Column("kind", sa.String(16), primary_key=True, comment="silent, low or rejected"),
        sa.Column("since", UtcDateTime, nullable=False),
        sa.Column("raised_at", UtcDateTime, nullable=False),
        sa.Column("facts", JSON_, nullable=False, comment="what was expected and what came"),
    )
    op.create_table(
        "roll_ups",
        sa.Column("name", sa.String(16), primary_key=True),
        sa.Column("until", UtcDateTime, nullable=False, comment="receipts settled before this time are counted"),
    )


def downgrade() -> None:
    for table in ("roll_ups", "source_alarms", "source_rhythms", "source_hours"):
        op.drop_table(table)
