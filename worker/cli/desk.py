"""The desk of this folder, for commands that only ask: where there is none they say so, and make none."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from worker.settings import Settings

_ELSEWHERE = "Go to the folder in which copydesk up or ingest was started, or set COPYDESK_DATA_DIR to its .copydesk."


class NoDesk(Exception):
    """Raised when the embedded servers were never started here; the message says where to look."""


def nothing_runs(config: Settings) -> list[str]:
    """Why the embedded Redis does not answer, and what to do."""
    folder = config.data_dir.absolute()
    if not folder.exists():
        return [
            f"there is no desk here: {folder} does not exist, and COPYDESK_REDIS_URL is not set.",
            f"{_ELSEWHERE} To start one here: copydesk up",
        ]
    return [f"nothing runs in {folder}.", "Start it with: copydesk up"]


def require_desk(config: Settings) -> None:
    """Raises NoDesk where nothing is configured and nothing was ever started."""
    if config.redis_url is None and config.database_url is None and not config.data_dir.exists():
        raise NoDesk("\n          ".join(nothing_runs(config)))


def open_store(config: Settings) -> Engine:
    """An engine for a store that is there. Raises NoDesk where SQLite would make an empty file of it."""
    from worker.store.engine import make_engine

    if config.database_url is None and not (config.data_dir / "copydesk.db").exists():
        require_desk(config)
        raise NoDesk(
            f"there is no store in {config.data_dir.absolute()}, and COPYDESK_DATABASE_URL is not set.\n          {_ELSEWHERE}"
        )
    return make_engine(config, pooled=False)
