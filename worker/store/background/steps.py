"""One step of the pending work: a bounded number of subjects, read before the writer lock where possible."""

from __future__ import annotations

from sqlalchemy import Engine

from worker.heat_rules import AllRules
from worker.store.background.article_step import ArticleStep
from worker.store.background.heat_step import heat_step
from worker.store.background.image_step import image_step
from worker.store.background.name_step import name_step
from worker.store.background.target_step import target_step
from worker.store.background.work_rows import Oldest, Progress, oldest
from worker.store.decide import decision
from worker.store.decide.change_set import NAMES, PEERS, RETRACT, TARGET
from worker.store.sql.flights import Flights, flights


def work_step(engine: Engine, rules: AllRules) -> int | None:
    """Do one step of the oldest work; returns how many articles it processed, or None when no work is left.

    It counts documents for a retraction, and links for a URL that means another article. 0: the step was for names, the
    URL changed meanwhile, or another process holds the step lock. Raises SQLAlchemy's errors.
    """
    with flights(engine, durable=False) as transaction:  # after a crash the work is pending again
        found = oldest(transaction, engine.dialect.name)
        is_work = bool(found.by_id or found.by_url)
        if is_work and found.has_lock:
            return _step(engine, transaction, found, rules)
        transaction.commit()  # nothing was written, but after a ROLLBACK psycopg would prepare its statements again
        return 0 if is_work else None


def _step(engine: Engine, transaction: Flights, found: Oldest, rules: AllRules) -> int:
    dialect, progress = engine.dialect.name, Progress(found.now)
    by_id, by_url = found.by_id, found.by_url
    kind = (by_id or by_url)[0].kind
    if kind == TARGET:
        return target_step(engine, transaction, by_url[0], rules, found.now)
    if by_id and kind not in (PEERS, NAMES):
        step = ArticleStep(engine, rules, found.now, decision.STEP_DOCUMENTS)
        return step.retract(transaction, by_id[0]) if kind == RETRACT else step.reenrich(transaction, by_id)
    if kind == PEERS:
        done = heat_step(transaction, dialect, by_id, rules, progress)
    elif kind == NAMES:
        done = name_step(transaction, dialect, by_id, progress)
    else:
        done = image_step(transaction, dialect, by_url, progress)
    progress.write(transaction, dialect)
    transaction.commit()
    return done
