"""The same change to many dead letters, on real servers: the dry run predicts the result."""

from __future__ import annotations

import re
import sys

import pytest
from sqlalchemy import func, select

from schemas.receipt import Outcome
from tests.integration.store.store_driver import work
from worker.dead_letters.bulk_edit import bulk_edit, filtering, plan_for, replacing, substituting
from worker.documents.limits import Limits
from worker.queue.lease_queue import Claimed, LeaseQueue
from worker.settings import INTERNAL_LANE, Settings
from worker.store import dead_letters as dead
from worker.store.engine import make_engine
from worker.store.tables import articles, dead_letter_actions, dead_letters

SAME = "---\ntitle: Story {n}\nexcerpt: They call it: the hall\nwebUrl: https://same.example/{n}\n---\n"
OTHER = "---\ntitle: Story {n}\nexcerpt: Something: else\nwebUrl: https://other.example/{n}\n---\n"
LIMITS = Limits()
ALL = dead.Filter()
CHANGE = replacing("call it: ", "call it ")


@pytest.fixture
def engine(migrated_store_url, tmp_path):
    settings = Settings(database_url=migrated_store_url, data_dir=tmp_path)
    engine = make_engine(settings)
    yield engine
    engine.dispose()


def reject(engine, texts):
    """Process `texts` in the pipeline; each becomes a dead letter."""
    entries = [
        Claimed(f"17000000000{n:02}-{n}", 0, 100, {b"raw": text.encode(), b"source": b"crawler", b"key": str(n).encode()}, truncated=False)
        for n, text in enumerate(texts)
    ]  # fmt: skip
    assert {version.outcome for version in work(engine, "documents", entries)} == {Outcome.REJECTED}


def settle(engine, client):
    """Settle what was sent on the internal lane, as a worker does."""
    sent = client.xrange(INTERNAL_LANE)
    entries = [Claimed(id_.decode(), 0, 100, fields, truncated=False) for id_, fields in sent]
    return [version.outcome for version in work(engine, INTERNAL_LANE, entries)]


def count(engine, table, **wanted):
    with engine.connect() as connection:
        return connection.scalar(select(func.count()).select_from(table).filter_by(**wanted))


def test_the_dry_run_predicts_the_change(engine, redis_client):
    LeaseQueue(redis_client, INTERNAL_LANE).ensure()
    reject(engine, [SAME.format(n=n) for n in range(225)] + [OTHER.format(n=n) for n in range(25)])
    plan = plan_for(engine, ALL, CHANGE, LIMITS)
    assert (plan.passing, plan.failing, plan.untouched) == (225, {"yaml_unquoted_colon": 25}, 25)
    _, before, after = plan.example
    assert (b"call it: the" in before, b"call it the" in after) == (True, True)
    assert count(engine, dead_letter_actions) == 0
    assert redis_client.xlen(INTERNAL_LANE) == 0
    done, sent = bulk_edit(engine, redis_client, ALL, CHANGE, LIMITS)
    assert (done.passing, sent) == (225, 225)
    outcomes = settle(engine, redis_client)
    assert outcomes == [Outcome.STORED] * 225
    assert (count(engine, dead_letters, status="open"), count(engine, dead_letters, status="replayed")) == (25, 225)
    assert count(engine, articles, excerpt="They call it the hall") == 225
    assert count(engine, dead_letter_actions, action="edited") == 225


def test_only_matching_dead_letters_are_changed(engine, redis_client):
    reject(engine, [SAME.format(n=n) for n in range(3)])
    assert plan_for(engine, dead.Filter(source="other"), CHANGE, LIMITS).passing == 0
    assert bulk_edit(engine, redis_client, dead.Filter(text="1700000000001-1"), CHANGE, LIMITS)[1] == 1


@pytest.mark.parametrize("change", [
    substituting(r"^(excerpt: )(.*: .*)$", r'\1"\2"'),
    filtering(f"{sys.executable} -c \"import sys; sys.stdout.write(sys.stdin.read().replace('it: ', 'it '))\""),
], ids=["regex", "program"])  # fmt: skip
def test_dead_letters_are_changed_by_each_kind_of_edit(engine, change):
    reject(engine, [SAME.format(n=1)])
    assert plan_for(engine, ALL, change, LIMITS).passing == 1


@pytest.mark.parametrize("program", ["false", "no-such-program-anywhere"])
def test_a_program_that_fails_changes_nothing(engine, program, redis_client):
    reject(engine, [SAME.format(n=1)])
    plan, sent = bulk_edit(engine, redis_client, ALL, filtering(program), LIMITS)
    assert (plan.passing, plan.failing.total(), sent) == (0, 1, 0)


def test_an_invalid_expression_is_refused_at_once():
    for pattern, new in (("(", "x"), ("x", r"\2")):
        with pytest.raises((re.error, IndexError)):
            substituting(pattern, new)


def test_a_truncated_document_cannot_be_edited(engine):
    fields = {b"raw": b"x" * 2_000_000, b"source": b"crawler"}
    work(engine, "documents", [Claimed("1700000000000-0", 9, 100, fields, truncated=True)])
    assert plan_for(engine, ALL, CHANGE, LIMITS).failing == {"too_large (not an error in its text)": 1}
