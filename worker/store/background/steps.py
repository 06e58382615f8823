"""One step of the pending work: a bounded number of subjects, written in one short transaction under the writer lock."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Engine

from worker.heat_rules import AllRules
from worker.store.background.article_step import ArticleStep
from worker.store.background.heat_step import heat_step
from worker.store.background.image_step import image_step
from worker.store.background.name_step import name_step
from worker.store.background.pending import IdWork, UrlWork, oldest
from worker.store.background.target_step import target_step
from worker.store.decide import batch
from worker.store.decide.change_set import NAMES, PEERS, RETRACT, TARGET
from worker.store.engine import WRITER_LOCK
from worker.store.sql.flights import flights


def work_step(engine: Engine, rules: AllRules) -> int | None:
    """Do one step of the oldest work; returns how many articles it processed, or None when no work is left.

    For a retraction it returns the number of documents instead, for names 0, and 0 while another process reads for a
    step. If two processes do the same step nevertheless, the second one changes nothing. Raises SQLAlchemy's errors.
    """
    with flights(engine, reads_only=True) as reading:
        work, now, is_free = oldest(reading, engine.dialect.name)
        if not work:
            return None
        if not is_free:
            return 0
        by_id: Sequence[IdWork] = [row for row in work if isinstance(row, IdWork)]
        if by_id and by_id[0].kind == PEERS:
            return heat_step(engine, reading, by_id, rules)
        if by_id and by_id[0].kind == NAMES:
            return name_step(engine, reading, by_id)
        if by_id:
            step = ArticleStep(engine, rules, now, batch.STEP_DOCUMENTS)
            return (step.retract if by_id[0].kind == RETRACT else step.reenrich)(reading, by_id[0])
        by_url: Sequence[UrlWork] = [row for row in work if isinstance(row, UrlWork)]
        if by_url[0].kind == TARGET:
            return target_step(engine, reading, by_url[0], rules, now)
        reading.commit()
    with flights(engine, locks=WRITER_LOCK) as transaction:
        done = image_step(transaction, engine.dialect.name, by_url)
        transaction.commit()
    return done
