"""Retractions of a URL reach the source's older documents that show it, those of before too"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_REVISION = sa.String(160).with_variant(sa.String(160, collation="C"), "postgresql")


def upgrade() -> None:
    op.add_column(
        "documents",
        sa.Column("url_retraction", _REVISION,
                  comment="of the newest retraction of its key, where that is a URL"),
    )  # fmt: skip
    op.execute(
        "UPDATE documents SET url_retraction = revision"
        " WHERE retracted AND (key LIKE 'http://%' OR key LIKE 'https://%')"
    )
    # What they left public until now is retracted beside live work.
    op.execute(
        "INSERT INTO enrichment_work (kind, subject_id, cursor, done, total, since)"
        " SELECT DISTINCT 'retract', gone.id, 0, 0, 1, CURRENT_TIMESTAMP FROM documents gone"
        " JOIN articles ON articles.canonical_url = gone.key"
        " JOIN documents shown ON shown.article_hash = articles.url_hash AND shown.source = gone.source"
        " AND shown.revision < gone.url_retraction AND NOT shown.retracted WHERE gone.url_retraction IS NOT NULL"
    )


def downgrade() -> None:
    op.execute("DELETE FROM enrichment_work WHERE kind = 'retract'")
    op.drop_column("documents", "url_retraction")
