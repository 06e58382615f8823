"""Histories of documents over small alphabets, so that everything collides: sources, keys, URLs, aliases, mentions.

Drawn from a seed and two sizes: Hypothesis still shrinks the sizes, and every example is as varied as it can be
(drawn piece by piece, most were a single retraction).
"""

from dataclasses import dataclass, replace

SITES = tuple(f"https://site{n}.example/story" for n in range(5))
KEYS = ("k1", "k2")


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
        if self.related:
            lines.append("related:")
            for url in self.related:
                lines += [f"  - title: {self.title} on {url[8:13]}", f"    webUrl: {url}"]
                lines.append(f"    images: [{{url: {url}/{self.title}.jpg, width: 1, height: 1}}]")
        lines.append(f'secured: "{self.secured};AAAAAAAAAAAAAAAAAAAAAA=="')
        return "\n".join([*lines, "---", ""])


@dataclass(frozen=True)
class Retract:
    source: str
    key: str


def _put(random):
    key = random.choice((None, *KEYS))
    return Put(
        source=random.choice("st"),
        key=key,
        url=random.choice(SITES) if key is None or random.random() < 0.8 else None,
        amp=random.choice((None, *SITES)),
        related=tuple(random.sample(SITES, random.randint(0, 3))),
        title=random.choice("AB"),
        topic=random.choice("xy"),
        image=random.choice((None, "https://img.example/1.jpg")),
        secured="AAAA",
    )


def history(random, *, documents, length):
    """Few distinct documents, sent again and again, often with nothing new but `secured`, or retracted."""
    pool = [_put(random) for _ in range(documents)]
    events = []
    for _ in range(length):
        event = random.choice(pool)
        if random.random() < 0.15:
            events.append(Retract(event.source, event.key or event.url))
        elif random.random() < 0.3:
            events.append(replace(event, url=random.choice(SITES), title=random.choice("AB")))
        else:
            events.append(replace(event, secured=random.choice(("AAAA", "BBBB"))))
    return events


def batches_of(random, events):
    """The numbered events in any order, some delivered again, cut into batches."""
    queue = list(enumerate(events))
    queue += random.choices(queue, k=random.randint(0, 4))
    random.shuffle(queue)
    batches = []
    while queue:
        size = random.randint(1, 4)
        batches.append(dict(queue[:size]))
        queue = queue[size:]
    return batches
