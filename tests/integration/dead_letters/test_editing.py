"""One dead letter, edited by two people at once, in the command line or in the console: the first edit counts, the
other is refused.
"""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from tests.integration.store.store_driver import work
from tests.support.servers import copydesk
from worker.dead_letters import editing as dead_letter_edits
from worker.dead_letters.bulk_edit import bulk_edit as mend_many
from worker.dead_letters.bulk_edit import replacing
from worker.documents.limits import Limits
from worker.queue.lease_queue import Claimed, LeaseQueue
from worker.settings import INTERNAL_LANE
from worker.store import dead_letters

BAD = "---\ntitle: Plans: the wall\nwebUrl: https://harbour.example/wall\n---\n"
GOOD = BAD.replace("Plans:", "Plans")


@pytest.fixture
def dead_letter(engine, redis_client):
    LeaseQueue(redis_client, INTERNAL_LANE).ensure()
    fields = {b"raw": BAD.encode(), b"source": b"crawler", b"key": b"wall"}
    work(engine, "documents", [Claimed("1700000000000-0", 0, 100, fields, truncated=False)])
    found = dead_letter_edits.dead_letter(engine, 1)
    assert found is not None
    return found


def sent(client):
    return [fields[b"raw"].decode() for _, fields in client.xrange(INTERNAL_LANE)]


def test_of_many_simultaneous_edits_one_is_sent(engine, redis_client, dead_letter):
    start = Barrier(4)

    def edit(n):
        start.wait()
        try:
            return dead_letter_edits.edit_and_replay(
                engine, redis_client, dead_letter, GOOD.replace("wall\n", f"wall{n}\n", 1).encode(), f"who{n}"
            )
        except dead_letter_edits.DeadLetterChanged as changed:
            return str(changed)

    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(edit, range(4)))
    assert sorted(map(str, done)) == ["True"] + ["somebody else has edited it in the meantime"] * 3
    assert len(sent(redis_client)) == 1
    assert dead_letter_edits.dead_letter(engine, 1).row.edits == 1


@pytest.mark.parametrize("text", [GOOD.encode(), BAD.encode()], ids=["an edit", "as it is"])
@pytest.mark.parametrize("status", ["discarded", "replayed"])
def test_a_dead_letter_that_was_closed_meanwhile_is_not_sent(engine, redis_client, dead_letter, status, text):
    with engine.begin() as connection:
        connection.execute(dead_letters.dead_letters.update().values(status=status))
    with pytest.raises(dead_letter_edits.DeadLetterChanged, match=status):
        dead_letter_edits.edit_and_replay(engine, redis_client, dead_letter, text, "who")
    assert sent(redis_client) == []
    assert dead_letter_edits.dead_letter(engine, 1).version == dead_letter.version
    with engine.begin() as connection:
        assert not dead_letters.discard(connection, 1, "who", "why")


def test_an_edit_there_and_back_counts_as_an_edit(engine, redis_client, dead_letter):
    for text in (GOOD, BAD):
        with engine.begin() as connection:
            assert dead_letters.keep_edit(
                connection, dead_letter_edits.dead_letter(engine, 1).row, text.encode(), "another"
            )
    with pytest.raises(dead_letter_edits.DeadLetterChanged):
        dead_letter_edits.edit_and_replay(engine, redis_client, dead_letter, GOOD.encode(), "who")
    assert sent(redis_client) == []


def test_a_bulk_edit_skips_a_dead_letter_that_another_edited(engine, redis_client, dead_letter):
    def change(raw):
        with engine.begin() as connection:
            dead_letters.keep_edit(connection, dead_letter.row, GOOD.encode(), "another")
        return replacing("Plans:", "Other plans")(raw)

    plan, count = mend_many(engine, redis_client, dead_letters.Filter(), change, Limits())
    assert (plan.passing, count, plan.failing.total()) == (0, 0, 1)
    assert dead_letter_edits.dead_letter(engine, 1).raw == GOOD.encode()


@pytest.mark.parametrize(("migrated_store_url", "meanwhile"), [
    ("sqlite", "mended"), ("postgresql", "closed"), pytest.param("sqlite", "closed", marks=pytest.mark.long),
    pytest.param("postgresql", "mended", marks=pytest.mark.long),
], indirect=["migrated_store_url"])  # fmt: skip
def test_the_command_line_reports_an_edit_by_another_while_its_editor_was_open(
    engine, redis_client, valkey, migrated_store_url, dead_letter, tmp_path, meanwhile
):
    editor = tmp_path / "editor.py"
    editor.write_text(f"""import sys, sqlalchemy
from worker.settings import Settings
from worker.store.engine import make_engine
from worker.store import dead_letters as dead
path = sys.argv[1]
text = open(path).read()
open(path, "w").write(text.replace("Plans:", "Mine"))
with make_engine(Settings(database_url={migrated_store_url!r})).begin() as connection:
    if {meanwhile == "closed"}:
        dead.discard(connection, 1, "another", "why")
    else:
        dead.keep_edit(connection, dead.find(connection, dead.Filter())[0], {GOOD.encode()!r}, "another")
""")
    done = copydesk("dead", "edit", "1", cwd=tmp_path, COPYDESK_DATABASE_URL=migrated_store_url, COPYDESK_REDIS_URL=valkey.url,
                    EDITOR=f"{sys.executable} {editor}", TMPDIR=str(tmp_path))  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert "Replayed" not in done.stderr
    assert ("somebody else" if meanwhile == "mended" else "discarded") in done.stderr
    saved_file = done.stderr.split("Your text is in ")[1].split()[0]
    assert "Mine" in Path(saved_file).read_text()
    assert sent(redis_client) == []
    assert dead_letter_edits.dead_letter(engine, 1).raw == (GOOD if meanwhile == "mended" else BAD).encode()
