"""An index that finds the uses of an image in steps"""

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _index(["url_hash", "article_id"])


def downgrade() -> None:
    _index(["url_hash"])


def _index(columns: list[str]) -> None:
    op.drop_index("ix_images_url_hash", "images")
    op.create_index("ix_images_url_hash", "images", columns)
