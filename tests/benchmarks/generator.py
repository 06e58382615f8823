"""Generated documents with the shape of real ones: sizes, stories, repetitions, updates and errors.

The distributions are those of 16,827 real articles: on average about 10 kB and 11 entries of `related`, but half of the
documents have no such entry and one in twenty has more than 66. Nearly all entries name an article of the same
collection,
because the members of a story name each other. The same seed gives the same documents on every machine.
"""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

# The share of documents that have at most this many entries of `related`.
_RELATED = (
    (0.0, 0), (0.515, 0), (0.52, 1), (0.60, 1), (0.65, 2), (0.70, 3), (0.75, 6), (0.80, 10), (0.85, 18), (0.90, 32),
    (0.95, 66), (1.0, 160),
)  # fmt: skip
_AMP = 0.25
_IMAGE = 0.9
_SECURED = 0.95
_OLDER_NAMES = 0.15  # 2019 and early 2020
_WITHOUT_URL = 0.10  # of entries of `related`
_LISTS_ITSELF = 0.10
_LISTS_TWICE = 0.09
_SHARES_A_URL = 0.012
_BROKEN = 0.0015
_TOPICS = 22
_PROVIDERS = 750
_REPORTS = (1, 2, 4, 7)  # articles of one event: 0.6 similar links an article (real collections: 0.9 and 1.3)
_EVENT_WORDS = 6
_ARRIVES_WITHIN = 400  # documents; a story is published within a day or two

# Shares of the updates of one document.
_ONLY_SECURED = 0.45
_MOVES = 0.02

_FIRST_DAY = datetime(2020, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Document:
    """A document as a crawler sends it, and the URL by which a peer identifies it."""

    key: str
    raw: bytes
    url: str


@dataclass(frozen=True, slots=True)
class _Article:
    number: int
    url: str
    amp_url: str | None
    title: str
    excerpt: str
    published_at: str
    provider: int
    quality: int
    image: str | None


class Generator:
    """Generates the documents of one collection."""

    def __init__(self, seed: int = 1) -> None:
        draw = random.Random(0)  # all seeds share one language
        syllables = [
            "ba",
            "cor",
            "del",
            "fen",
            "gar",
            "hol",
            "in",
            "ka",
            "lor",
            "mi",
            "ner",
            "os",
            "pal",
            "ri",
            "sta",
            "tun",
        ]
        self._words = sorted({"".join(draw.choices(syllables, k=draw.choice((1, 2, 2, 3, 3, 4)))) for _ in range(4000)})
        draw.shuffle(self._words)
        self._weights = [1 / (rank + 8) for rank in range(len(self._words))]
        draw = random.Random(seed)
        self._providers = [(f"{self._pick(draw, 2).title()} {draw.choice(('Post', 'Courier', 'Observer & Echo'))}", f"{self._pick(draw, 1)}{n}.com")
                        for n in range(_PROVIDERS)]  # fmt: skip
        self._topics = [self._pick(draw, 2).title() for _ in range(_TOPICS)]
        self._seed = seed

    def documents(self, count: int) -> list[Document]:
        """Return `count` new documents in order of arrival."""
        draw = random.Random(self._seed + 1)
        arrivals: list[tuple[float, Document]] = []
        number = 0
        for size in _stories(count):
            begins = draw.random() * count
            members = self._articles(draw, number, size)
            entries = [self._entry(draw, member) for member in members]
            for n, member in enumerate(members):
                others = [
                    (members[m], entries[m])
                    for m in range(size)
                    if m != n or (size > 1 and draw.random() < _LISTS_ITSELF)
                ]
                arrivals.append((begins + draw.random() * _ARRIVES_WITHIN, self._document(draw, member, others)))
            number += size
        arrivals.sort(key=lambda arrival: arrival[0])
        documents = [document for _, document in arrivals]
        for index in range(1, len(documents)):
            if draw.random() < _SHARES_A_URL:
                other, mine = documents[draw.randrange(index)], documents[index]
                raw = mine.raw.replace(f'Url: "{mine.url}"\n'.encode(), f'Url: "{other.url}"\n'.encode(), 1)
                documents[index] = replace(mine, raw=raw, url=other.url)
            elif draw.random() < _BROKEN:
                documents[index] = replace(
                    documents[index], raw=documents[index].raw.replace(b'title: "', b"title: No: ", 1)
                )
        return documents

    def updates(self, documents: list[Document], count: int) -> Iterator[Document]:
        """Return `count` newer versions of `documents`: nearly half differ only in `secured`, a few move to another
        URL.
        """
        draw = random.Random(self._seed + 2)
        current = list(documents)
        for _ in range(count):
            index = draw.randrange(len(current))
            old = current[index]
            raw, url = old.raw, old.url
            head, quote, tail = raw.rpartition(b'secured: "')
            if quote:
                raw = head + quote + _secured(draw).encode() + tail[tail.index(b'"') :]
            chance = draw.random()
            if chance > _ONLY_SECURED:
                raw = raw.replace(b"heat: ", f"heat: {draw.randint(1, 9)}".encode(), 1)
            if chance > 1 - _MOVES:
                url = old.url + "-2"
                raw = raw.replace(f'"{old.url}"'.encode(), f'"{url}"'.encode(), 1)
            current[index] = Document(old.key, raw, url)
            yield current[index]

    def references(self, count: int) -> Iterator[Document]:
        """Return `count` reference documents: about the organisations and, one in six, the topics of the articles."""
        draw = random.Random(self._seed + 3)
        for number in range(count):
            if number % 6 == 5:
                topic = self._topics[number // 6 % len(self._topics)]
                fields = [
                    "taxonomy: topic",
                    f"name: {topic}",
                    f"keywords: [{self._pick(draw, 1)}, {self._pick(draw, 2)}]",
                ]
            else:
                name, domain = self._providers[number % len(self._providers)]
                fields = ["taxonomy: organization", f"name: {json.dumps(name)}", f"domain: {domain}",
                          f"otherNames: [{json.dumps(self._pick(draw, 2).title())}]"]  # fmt: skip
            yield Document(f"_terms/{self._seed}x{number:04}.md", "\n".join(["---", *fields, "---", ""]).encode(), "")

    def _pick(self, draw: random.Random, count: int) -> str:
        return " ".join(draw.choices(self._words, k=count))

    def _text(self, draw: random.Random, characters: int) -> str:
        words = draw.choices(self._words, self._weights, k=max(2, characters // 6))
        return " ".join(words).capitalize()

    def _articles(self, draw: random.Random, number: int, count: int) -> list[_Article]:
        """Return the articles of a story: each event in it is told by a few of them, in words of its own."""
        articles: list[_Article] = []
        while len(articles) < count:
            event = self._pick(draw, _EVENT_WORDS).split()
            reports = min(draw.choice(_REPORTS), count - len(articles))
            articles += [self._article(draw, number + len(articles) + n, event) for n in range(reports)]
        return articles

    def _article(self, draw: random.Random, number: int, event: list[str]) -> _Article:
        provider = min(int(draw.expovariate(1 / 60)), _PROVIDERS - 1)
        _, domain = self._providers[provider]
        slug = self._text(draw, 45).lower().replace(" ", "-")
        path = f"{domain}/news/{slug}-{self._seed}x{number}"
        published = _FIRST_DAY + timedelta(minutes=number)
        return _Article(
            number=number,
            url=f"https://www.{path}",
            amp_url=f"https://amp.{path}" if draw.random() < _AMP else None,
            title=self._text(draw, 40)
            + " "
            + " ".join(draw.sample(event, 4))
            + (f" | {self._providers[provider][0]}" if draw.random() < 0.004 else ""),
            excerpt=self._text(draw, min(310, max(20, int(draw.gauss(170, 80))))) + " " + " ".join(event) + ".",
            published_at=published.strftime("%Y-%m-%dT%H:%M:%SZ"),
            provider=provider,
            quality=max(1, min(219, int(draw.gauss(55, 28)))),
            image=f"https://images.{domain}/1280x720/{number}.jpg" if draw.random() < _IMAGE else None,
        )

    def _entry(self, draw: random.Random, article: _Article) -> str:
        """Return an entry of `related` about this document, as the other documents of its story contain it."""
        name, domain = self._providers[article.provider]
        lines = [f"  - title: {json.dumps(article.title)}", f"    excerpt: {json.dumps(article.excerpt)}",
                 f"    publishedDateTime: {article.published_at}"]  # fmt: skip
        if draw.random() >= _WITHOUT_URL:
            lines.append(f'    webUrl: "{article.url}"')
        elif draw.random() < 0.9:
            lines.append(f'    sourceUrl: "{article.url}"')
        if article.amp_url:
            cache = f"{domain.replace('.', '-')}.cdn.ampproject.org/c/s/{article.amp_url.removeprefix('https://')}"
            lines += [f'    ampWebUrl: "{article.amp_url}"', f'    cdnAmpWebUrl: "https://amp-{cache}"']
        lines += ["    type: article", "    provider:", f"      name: {json.dumps(name)}", f"      domain: {domain}",
                  f"    quality: {article.quality}"]  # fmt: skip
        if article.image:
            lines += ["    images:", f'      - url: "{article.image}"', "        width: 1280", "        height: 720",
                      "        isCached: true"]  # fmt: skip
        return "\n".join(lines)

    def _document(self, draw: random.Random, article: _Article, others: list[tuple[_Article, str]]) -> Document:
        older = draw.random() < _OLDER_NAMES
        web, amp, cdn_amp = ("sourceUrl", "ampUrl", "cdnAmpUrl") if older else ("webUrl", "ampWebUrl", "cdnAmpWebUrl")
        name, domain = self._providers[article.provider]
        led = all(other.quality <= article.quality for other, _ in others)
        heat = -1 if not led else article.quality + (20 * len(others) if article.quality >= 50 else 0)
        lines = ["---", "category: news", f"title: {json.dumps(article.title)}", f"excerpt: {json.dumps(article.excerpt)}",
                 f"publishedDateTime: {article.published_at}", f'{web}: "{article.url}"']  # fmt: skip
        if article.amp_url:
            cache = f"{domain.replace('.', '-')}.cdn.ampproject.org/c/s/{article.amp_url.removeprefix('https://')}"
            lines += [f'{amp}: "{article.amp_url}"', f'{cdn_amp}: "https://amp-{cache}"']
        lines += ["type: article", f"quality: {article.quality}", f"heat: {heat}", f"published: {str(heat >= 70).lower()}", "",
                  "provider:", f"  name: {json.dumps(name)}", f"  domain: {domain}", "", "topics:"]  # fmt: skip
        topics = {self._topics[0], *draw.choices(self._topics, k=draw.choice((0, 1, 1, 2)))}
        lines += [f"  - {topic}" for topic in sorted(topics)]
        if article.image:
            lines += ["", "images:", f'  - url: "{article.image}"', "    width: 1280", "    height: 720", "    isCached: true",
                      f"    title: {json.dumps(article.title)}"]  # fmt: skip
        if others:
            lines += ["", "related:", *(entry for _, entry in others)]
            if draw.random() < _LISTS_TWICE:
                lines.append(others[0][1])
        if draw.random() < _SECURED:
            lines += ["", f'secured: "{_secured(draw)}"']
        lines += ["---", ""]
        return Document(f"_posts/{self._seed}x{article.number:06}.md", "\n".join(lines).encode(), article.url)


def _secured(draw: random.Random) -> str:
    cipher, vector = draw.randbytes(draw.choice((240, 352, 368))), draw.randbytes(16)
    return f"{base64.b64encode(cipher).decode()};{base64.b64encode(vector).decode()}"


def _stories(count: int) -> list[int]:
    """Return the sizes of stories, largest first, so that their members have as many `related` entries as `_RELATED`
    says.
    """
    sizes, made = [], 0
    while made < count:
        size = 1
        # The position of the middle document of a story in the distribution decides the size of the story.
        while made + size < count and size < 1 + _related_at(1 - (made + size / 2) / count):
            size += 1
        sizes.append(size)
        made += size
    return sizes


def _related_at(share: float) -> float:
    for (low, fewest), (high, most) in pairwise(_RELATED):
        if share <= high:
            return fewest + (most - fewest) * (share - low) / (high - low)
    return _RELATED[-1][1]
