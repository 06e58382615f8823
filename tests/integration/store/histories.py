"""Random histories of documents over small alphabets, so that sources, keys, URLs, aliases and mentions collide often.

Drawn from a seed and two sizes: Hypothesis still shrinks the sizes, and every example is as varied as it can be
(drawn piece by piece, most were a single retraction).
"""

from dataclasses import dataclass, replace

SITES = tuple(f"https://site{n}.example/story" for n in range(5))
KEYS = ("k1", "k2")
TITLES = ("A", "B - Daily", "Robots")


@dataclass(frozen=True)
class Put:
    source: str
    key: str | None
    url: str | None
    amp: str | None
    related: tuple
    title: str
    topic: str
    image: str | None
    secured: str
    quality: int | None = None
    day: int = 1
    provider: str | None = None
    items: tuple = ()

    @property
    def text(self):
        lines = ["---", f"title: {self.title}"]
        if self.url:
            lines.append(f"webUrl: {self.url}")
        if self.amp:
            lines.append(f"ampWebUrl: {self.amp}")
        lines.append(f"topics: [{self.topic}]")
        if self.image:
            lines.append(f"images: [{{url: {self.image}, width: 10, height: 10}}]")
        lines.append(f"publishedDateTime: 2020-05-0{self.day}T10:00:00Z")
        if self.quality:
            lines += [f"quality: {self.quality}", f"heat: {self.quality}"]
        if self.provider:
            lines.append(f"provider: {{name: {self.provider}, domain: paper.example}}")
        if self.items:
            lines.append(f"items: [{', '.join(self.items)}]")
        if self.related:
            lines.append("related:")
            for url in self.related:
                lines += [f"  - title: {self.title} on {url[8:13]}", f"    webUrl: {url}"]
                if self.quality:
                    lines += [
                        f"    quality: {90 - self.quality}",
                        f"    provider: {{name: {self.title}, domain: paper.example}}",
                    ]
                lines.append(f"    images: [{{url: {url}/{self.title}.jpg, width: 1, height: 1}}]")
        lines.append(f'secured: "{self.secured};AAAAAAAAAAAAAAAAAAAAAA=="')
        return "\n".join([*lines, "---", ""])


@dataclass(frozen=True)
class Reference:
    """A document about an organisation or a topic, under the keys of articles: a document may change from one kind to
    the other.
    """

    source: str
    key: str
    fields: tuple

    @property
    def text(self):
        return "\n".join(["---", *self.fields, "---", ""])


REFERENCES = (
    ("taxonomy: organization", "name: The Paper", "domain: paper.example", "otherNames: [Daily]"),
    ("taxonomy: organization", "name: Other", "domain: paper.example"),
    ("taxonomy: topic", "name: X", "keywords: [robot]", "parent: y"),
    ("taxonomy: topic", "name: x", "keywords: [daily]"),
    ("taxonomy: term", "name: z", "keywords: [robots, b]"),
)


@dataclass(frozen=True)
class Retract:
    source: str
    key: str


@dataclass(frozen=True)
class Broken:
    """A version that is rejected. `mends`: edits of it by an operator, each newer than the one before; `replayed`: sent
    again unchanged (it killed its process, and no longer does).
    """

    sent: Put
    mends: tuple[Put, ...] = ()
    replayed: bool = False

    @property
    def source(self):
        return self.sent.source

    @property
    def key(self):
        return self.sent.key

    @property
    def text(self):
        return self.sent.text if self.replayed else self.sent.text.replace("title: ", "title: one: two: ", 1)

    @property
    def accepted(self):
        """Return (edit, version) of what is stored of it in the end."""
        return [(0, self.sent)] if self.replayed else list(enumerate(self.mends, 1))


def _put(random):
    key = random.choice((None, *KEYS, SITES[1]))
    return Put(
        source=random.choice("st"),
        key=key,
        url=random.choice(SITES) if key is None or random.random() < 0.8 else None,
        amp=random.choice((None, *SITES)),
        related=tuple(random.sample(SITES, random.randint(0, 3))),
        title=random.choice(TITLES),
        topic=random.choice("xy"),
        image=random.choice((None, "https://img.example/1.jpg", "/1.jpg")),
        secured="AAAA",
        quality=random.choice((None, 30, 60)),
        day=random.choice((1, 2)),
        provider=random.choice((None, "Other", "Paper", "Daily")),
        items=tuple(random.sample(("k1", "k2", SITES[0]), random.randint(0, 2))),
    )


def _broken(random, event, pool):
    if random.random() < 0.3:
        return Broken(event, replayed=True)
    texts = random.choices(pool, k=random.choice((0, 1, 1, 2)))
    mends = [
        replace(text, source=event.source, key=event.key, url=text.url or (None if event.key else SITES[0]))
        for text in texts
    ]
    return Broken(event, mends=tuple(mends))


def history(random, *, documents, length, rejected=0.2):
    """Return a few distinct documents, sent again and again, often with only `secured` changed, or retracted."""
    pool = [_put(random) for _ in range(documents)]
    events = []
    for _ in range(length):
        event = random.choice(pool)
        if random.random() < rejected:
            events.append(_broken(random, event, pool))
        elif random.random() < 0.15:
            events.append(Reference(event.source, event.key or "r", random.choice(REFERENCES)))
        elif random.random() < 0.15:
            events.append(Retract(event.source, random.choice((event.key, event.url, *SITES[:2])) or SITES[0]))
        elif random.random() < 0.3:
            events.append(replace(event, url=random.choice(SITES), title=random.choice(TITLES)))
        else:
            events.append(replace(event, secured=random.choice(("AAAA", "BBBB"))))
    return events


def batches_of(random, events):
    """Return the numbered events in any order, some delivered again, cut into batches."""
    queue = list(enumerate(events))
    queue += random.choices(queue, k=random.randint(0, 4))
    random.shuffle(queue)
    batches = []
    while queue:
        size = random.randint(1, 4)
        batches.append(dict(queue[:size]))
        queue = queue[size:]
    return batches
