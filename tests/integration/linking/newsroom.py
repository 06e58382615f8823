"""Synthetic articles: events that several sites report in different words, and the links and stories they become."""

import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from sqlalchemy import delete, func, select, update

from tests.integration.store.store_driver import work
from worker.linking.linker import LEASE_SECONDS, ROLE, Linker
from worker.linking.texts.features import features_of_all
from worker.linking.texts.frequencies import Frequencies
from worker.queue.lease_queue import Claimed
from worker.settings import Settings
from worker.store.engine import make_engine
from worker.store.linking import day_frequencies, leader, link_states
from worker.store.linking import links as linking
from worker.store.tables import articles, leaders, links, stories

_WORDS = """
harbour ferry council bridge mayor strike teachers orchard flood river library museum painting stolen found goat festival
lantern parade storm roof school bus route tram hospital nurses bakery fire market hall vote tower clock repaired choir
winter coat charity runner marathon swimmer lake ice fishing boat lost rescue helicopter mountain hut snow avalanche dog
hero award poet novel prize actor film premiere orchestra strike settled wages factory closes jobs solar farm wind turbine
""".split()  # noqa: SIM905  a text of words reads better than a list of them
SITES = tuple(f"paper{n}.example" for n in range(6))
_BEGIN = datetime(2020, 5, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Story:
    """A document: one site's report of an event."""

    key: str
    site: str
    title: str
    excerpt: str
    at: datetime
    quality: int
    related: tuple = ()
    retracted: bool = False

    @property
    def url(self):
        return f"https://{self.site}/{self.key}"

    @property
    def raw(self):
        lines = ["---", f"title: {self.title}", f"excerpt: {self.excerpt}", f"webUrl: {self.url}", f"quality: {self.quality}",
                 f"publishedDateTime: {self.at:%Y-%m-%dT%H:%M:%SZ}"]  # fmt: skip
        if self.related:
            lines.append("related:")
            for other in self.related:
                lines += [f"  - title: {other.title}", f"    webUrl: {other.url}", f"    quality: {other.quality}"]
        return "\n".join([*lines, "---", ""]).encode()


def invent(random, count):
    """Generate `count` documents about a third as many events."""
    invented = []
    while len(invented) < count:
        event, day = random.sample(_WORDS, 8), random.randint(0, 40)
        for site in random.sample(SITES, random.choice((1, 1, 2, 3, 5))):
            words = [word if random.random() < 0.8 else random.choice(_WORDS) for word in event]
            invented.append(Story(
                f"n{len(invented)}", site, " ".join(words[:5]), " ".join([*words[3:], *random.sample(_WORDS, 2)]),
                _BEGIN + timedelta(days=day, hours=random.randint(0, 24)), random.randint(10, 90),
                related=tuple(random.sample(invented, min(len(invented), random.choice((0, 0, 2))))),
            ))  # fmt: skip
    return invented[:count]


def history(random, invented):
    """Return the documents, some changed, retracted or restored later, in the order of their revisions."""
    return [*invented, *(_changed(random, one, invented) for one in random.sample(invented, len(invented) // 4))]


def _changed(random, one, invented):
    changes = (
        {"retracted": True},
        {"title": random.choice(invented).title},
        {"quality": 95},
        {"at": one.at + timedelta(days=3)},
    )
    return replace(one, **random.choice(changes))


def entries(events):
    """Return the events as they are claimed from a stream."""
    claimed = []
    for number, event in enumerate(events):
        fields = {b"source": b"test", b"key": event.key.encode()}
        fields.update({b"op": b"retract"} if event.retracted else {b"raw": event.raw})
        claimed.append(Claimed(f"{1_700_000_000_000 + number}-0", 0, 100, fields, truncated=False))
    return claimed


def store(engine, claimed):
    work(engine, "documents", claimed)


def fresh_store(url, folder):
    config = Settings(database_url=url, data_dir=folder)
    return make_engine(config)


def keep_past(engine, random, documents=1500):
    """Store a completed day of arrival, so that document frequencies exist."""
    past = Frequencies()
    past.add(features_of_all([(one.title, one.excerpt) for one in invent(random, documents)]))
    with engine.begin() as connection:
        day_frequencies.keep_day(
            connection, (datetime.now(UTC) - timedelta(days=1)).date(), past.documents, past.dump()
        )


def nobody_leads(engine):
    with engine.begin() as connection:
        connection.execute(update(leaders).values(expires_at=_BEGIN))


def new_linker(engine, window=100_000, **more):
    """Return a linker that takes the lead at once."""
    nobody_leads(engine)
    return Linker(engine, token=leader.acquire(engine, ROLE, "test", seconds=LEASE_SECONDS), window=window, **more)


def finish(linker):
    """Link until nothing waits."""
    while True:
        with linker._engine.connect() as connection:
            if not link_states.pending_count(connection):
                return
        linker.step(force=True)


def settle(linker, *, within=60):
    """Link as the process does, without force, until nothing waits and nothing is provisional."""
    deadline = time.monotonic() + within
    while True:
        with linker._engine.connect() as connection:
            if not link_states.pending_count(connection):
                return
        assert time.monotonic() < deadline, "the linker does not come to an end"
        if not linker.step():
            time.sleep(0.05)


def in_state(engine, state):
    with engine.connect() as connection:
        query = select(func.count()).select_from(articles).where(articles.c.link_state == state)
        return connection.scalar(query)


def a_day_passes(engine):
    """Date everything that was stored one day earlier."""
    day = timedelta(days=1)
    with engine.begin() as connection:
        for row in connection.execute(select(articles.c.id, articles.c.changed_at, articles.c.first_seen_at)).all():
            earlier = {"changed_at": row.changed_at - day, "first_seen_at": row.first_seen_at - day}
            connection.execute(update(articles).where(articles.c.id == row.id).values(earlier))


def begin_anew(engine):
    """Reset the link state, as if no article had ever been linked."""
    with engine.begin() as connection:
        connection.execute(delete(links).where(links.c.kind.in_(linking.KINDS)))
        connection.execute(update(articles).values(story_id=None, link_state="pending"))
        connection.execute(delete(stories))


def found(engine):
    """Return links and stories as values, without ids."""
    with engine.connect() as connection:
        url = {row.id: row.canonical_url for row in connection.execute(select(articles.c.id, articles.c.canonical_url))}
        hashes = dict(connection.execute(select(articles.c.url_hash, articles.c.id)).all())
        invented = {}
        for row in connection.execute(
            select(articles.c.id, articles.c.story_id).where(articles.c.story_id.is_not(None))
        ):
            invented.setdefault(row.story_id, set()).add(url[row.id])
        tied = connection.execute(select(links).where(links.c.kind.in_(linking.KINDS))).all()
        assert {(row.source_id, row.target_id) for row in tied} == {(row.target_id, row.source_id) for row in tied}
        return {
            "links": {
                (url[row.source_id], url[hashes[row.target_hash]], row.kind, row.score, row.reason) for row in tied
            },
            "stories": {
                (
                    frozenset(invented[row.id]),
                    url[row.lead_id],
                    url[row.first_id],
                    row.size,
                    row.heat,
                    row.first_at,
                    row.last_at,
                )
                for row in connection.execute(select(stories).where(stories.c.size > 0))
            },
            "members": set(map(frozenset, invented.values())),
        }
