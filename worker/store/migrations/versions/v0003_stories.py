"""Stories: their first article, heat and announcement; the linker's leader lock and document frequencies"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
UNANNOUNCED = sa.text("announced_at IS NULL")
PENDING = sa.text("link_state = 'pending'")


def upgrade() -> None:
    op.create_table(
        "document_frequencies",
        sa.Column("day", sa.Date(), nullable=False, comment="of arrival, completed"),
        sa.Column("documents", sa.Integer(), nullable=False),
        sa.Column(
            "counts",
            sa.LargeBinary(),
            nullable=False,
            comment="in how many of them each hashed feature occurs, compressed",
        ),
        sa.PrimaryKeyConstraint("day", name=op.f("pk_document_frequencies")),
    )
    op.create_table(
        "leaders",
        sa.Column("role", sa.String(length=16), nullable=False, comment="what only one process may do"),
        sa.Column(
            "token",
            sa.BigInteger(),
            nullable=False,
            comment="fences: greater with each leader, checked in each of its writes",
        ),
        sa.Column("holder", sa.Text(), nullable=False, comment="host and process"),
        sa.Column(
            "expires_at",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="by the database's clock; afterwards anybody may lead",
        ),
        sa.PrimaryKeyConstraint("role", name=op.f("pk_leaders")),
    )
    op.add_column(
        "stories", sa.Column("first_id", ID, nullable=True, comment="the article that all the others are like")
    )
    op.add_column("stories", sa.Column("heat", sa.Integer(), nullable=True))
    op.add_column("stories", sa.Column("changed_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column(
        "stories",
        sa.Column(
            "announced_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="null: the change feed has not carried its last change",
        ),
    )
    op.create_index("ix_stories_last_at", "stories", ["last_at"])
    op.create_index(
        "ix_stories_unannounced", "stories", ["changed_at"], postgresql_where=UNANNOUNCED, sqlite_where=UNANNOUNCED
    )  # fmt: skip
    op.create_index("ix_articles_first_seen_at", "articles", ["first_seen_at"])
    op.create_index(
        "ix_articles_pending", "articles", ["changed_at"], postgresql_where=PENDING, sqlite_where=PENDING
    )  # fmt: skip
    # What nobody told was not looked at by the linker; its links, should it have any one day, are removed by it.
    op.execute("UPDATE articles SET link_state = 'pending' WHERE link_state = 'none'")
    if op.get_bind().dialect.name == "postgresql":
        op.alter_column("stories", "lead_id", comment="the article to show: the best by quality, then the earliest")
        op.alter_column("stories", "size", comment="articles; 0: it ended, as its articles went elsewhere")


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.alter_column("stories", "size", comment=None)
        op.alter_column("stories", "lead_id", comment=None)
    op.drop_index("ix_articles_pending", "articles")
    op.drop_index("ix_articles_first_seen_at", "articles")
    op.drop_index("ix_stories_unannounced", "stories")
    op.drop_index("ix_stories_last_at", "stories")
    with op.batch_alter_table("stories") as batch_op:
        for name in ("announced_at", "changed_at", "heat", "first_id"):
            batch_op.drop_column(name)
    op.drop_table("leaders")
    op.drop_table("document_frequencies")
