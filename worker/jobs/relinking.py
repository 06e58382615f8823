"""Let the linker compute the links and stories of a span of days again, after an upgrade of its rule.

The articles are only marked here (`store/linking/outdated.py`). The leading linker links them when nothing else waits, so
two processes never write links, and articles that arrive meanwhile are not delayed.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Engine

from worker.errors import CopydeskError, Exit
from worker.linking.pairs.similar_links import STORY_KINDS
from worker.store.engine import enter_writer, writer
from worker.store.linking import outdated
from worker.store.linking.outdated import Counts

_PAGE = 2000  # articles marked in one transaction
_POLL_SECONDS = 0.2


class RelinkingStalled(CopydeskError):
    """Raised when no linker works on the articles that were marked. They stay marked."""

    exit_code = Exit.TIMED_OUT


@dataclass(slots=True, frozen=True)
class Span:
    """The times of publication, from `first` to `last`, of the articles to be linked again."""

    first: datetime
    last: datetime

    def count(self, engine: Engine) -> Counts:
        """Count its articles, their links and their stories."""
        with engine.connect() as connection:
            return outdated.count(connection, self._condition())

    def mark(self, engine: Engine, advance: Callable[[int], None]) -> int:
        """Mark its articles and return how many. `advance` gets the count so far.

        Articles that wait for the linker already are left out.
        """
        marked = after = 0
        while True:
            with writer(engine) as connection, connection.begin():
                enter_writer(connection)
                page = outdated.mark(connection, self._condition(), after=after, most=_PAGE)
            if page is None:
                return marked
            after = page[0]
            marked += page[1]
            advance(marked)

    def _condition(self) -> outdated.Condition:
        return outdated.span(self.first.timestamp(), self.last.timestamp(), STORY_KINDS)


def count_waiting(engine: Engine) -> int:
    """Return how many articles are marked and not linked again yet."""
    with engine.connect() as connection:
        return outdated.waiting(connection)


def wait_until_linked(engine: Engine, advance: Callable[[int], None], *, timeout: float = 120) -> None:
    """Wait until no article is marked. `advance` gets how many were linked again so far.

    Raises RelinkingStalled when none was for `timeout` seconds.
    """
    total = left = count_waiting(engine)
    last_progress = time.monotonic()
    while left:
        time.sleep(_POLL_SECONDS)
        now = count_waiting(engine)
        if now < left:
            last_progress = time.monotonic()
        elif time.monotonic() - last_progress > timeout:
            raise RelinkingStalled(
                f"{now:,} articles wait to be linked again, and no linker works on them. They stay marked: the next worker "
                "that runs with COPYDESK_LINK=true links them."
            )
        left = now
        advance(total - left)
