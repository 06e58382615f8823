"""Who did what, when and why"""

import sqlalchemy as sa
from alembic import op

from worker.store.columns import ID, UtcDateTime

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "operator_actions",
        sa.Column("id", ID, primary_key=True),
        sa.Column("at", UtcDateTime, nullable=False),
        sa.Column("who", sa.Text, nullable=False),
        sa.Column("via", sa.String(16), nullable=False, comment="console, command or worker"),
        sa.Column("action", sa.String(40), nullable=False, comment="in the words of the commands, like lane pause"),
        sa.Column("subject", sa.Text, nullable=False, comment="to what"),
        sa.Column("reason", sa.Text, nullable=False),
    )
    op.create_index("ix_operator_actions_at", "operator_actions", ["at"])


def downgrade() -> None:
    op.drop_table("operator_actions")
