"""Documents written for the tests, for whole runs: one in the shape of the seed, and as many others as a test needs."""

from __future__ import annotations

import random
from pathlib import Path

SEED_SHAPED = """\
---
category: news
title: "Harbour council drops camera trial after protests | Northhaven Courier & Echo"
excerpt: "The harbour council has ended a trial of face-reading cameras after a week of protests."
publishedDateTime: 2020-05-29T22:57:00Z
webUrl: "https://www.northhavencourier.com/news/business/article100200300.html"
ampWebUrl: "https://amp.northhavencourier.com/news/business/article100200300.html"
cdnAmpWebUrl: "https://amp-northhavencourier-com.cdn.ampproject.org/c/s/amp.northhavencourier.com/news/business/article100200300.html"
type: article
quality: 34
heat: -1
published: false

provider:
  name: Northhaven Courier & Echo
  domain: northhavencourier.com

topics:
  - Natural Language Processing
  - AI
  - Computer Vision

images:
  - url: "https://images.northhaven-media.example/1280x720/harbour.jpg"
    width: 1280
    height: 720
    isCached: true
    title: "Harbour council drops camera trial after protests | Northhaven Courier & Echo"

related:
  - title: "Harbour council drops camera trial"
    excerpt: "The harbour council has ended a trial of face-reading cameras. Two groups had gone to court."
    publishedDateTime: 2020-05-30T07:00:00Z
    webUrl: "https://www.bridgegate.com/news/article/Harbour-council-drops-camera-trial-777.php"
    ampWebUrl: "https://www.bridgegate.com/news/amp/Harbour-council-drops-camera-trial-777.php"
    cdnAmpWebUrl: "https://www-bridgegate-com.cdn.ampproject.org/c/s/www.bridgegate.com/news/amp/Harbour-council-drops-camera-trial-777.php"
    type: article
    provider:
      name: BridgeGate
      domain: bridgegate.com
    quality: 61
    images:
      - url: "https://static.bridgegate-media.example/placeholder.png"
        width: 375
        height: 211
  - title: "Harbour council drops camera trial after protests | Southfield Observer"
    excerpt: "The harbour council has ended a trial of face-reading cameras after a week of protests."
    publishedDateTime: 2020-05-29T22:57:00Z
    webUrl: "https://www.southfieldobserver.com/news/business/national-business/article100200300.html"
    ampWebUrl: "https://amp.southfieldobserver.com/news/business/national-business/article100200300.html"
    type: article
    provider:
      name: Southfield Observer
      domain: southfieldobserver.com
    quality: 29
  - title: "Harbour council drops camera trial after protests | Westport Tribune"
    excerpt: "The harbour council has ended a trial of face-reading cameras after a week of protests."
    publishedDateTime: 2020-05-29T22:57:00Z
    webUrl: "https://www.westporttribune.com/news/business/article100200300.html"
    type: article
    provider:
      name: Westport Tribune
      domain: westporttribune.com
    quality: 24

secured: "VGhpcyBpcyBubyBjaXBoZXJ0ZXh0LCBvbmx5IGl0cyBzaGFwZS4=;AAECAwQFBgcICQoLDA0ODw=="
---
"""

_WORDS = ["harbour", "council", "storm", "bridge", "museum", "ferry", "budget", "election", "robot", "library", "garden", "school", "river", "bakery", "concert", "engine", "market", "signal", "valley", "theatre"]  # fmt: skip
_PROVIDERS = [(f"The {name.title()} Post", f"{name}post.com") for name in _WORDS[:12]]


def write_documents(folder: Path, count: int) -> Path:
    """Write `count` articles that name each other, with everything a document may have. Some share a URL, some are
    invalid.
    """
    folder.mkdir(parents=True)
    for number in range(count):
        (folder / f"{number:05}.md").write_text(document(number, count), "utf-8")
    return folder


def document(number: int, count: int) -> str:
    draw = random.Random(number)
    if number % 97 == 96:
        return "No front matter here.\n"
    if number % 101 == 100:
        return f"---\ntitle: One: two: {number}\nwebUrl: {_url(number)}\n---\n"
    name, domain = _paper(number)
    # Every fiftieth document describes an article that another document describes too: the newest wins.
    same_as = number - 7 if number % 50 == 49 else number
    lines = ["---", f'title: "{_title(number)} | {name}"', f'excerpt: "{_sentence(draw)} {_sentence(draw)}"',
             f"publishedDateTime: 2020-05-{1 + number % 28:02}T{number % 24:02}:{number % 60:02}:00Z",
             f'webUrl: "{_url(same_as)}"', f'ampWebUrl: "{_url(same_as).replace("www.", "amp.")}"', "type: article",
             f"quality: {draw.randint(0, 120)}", "heat: -1", "published: false", "provider:", f"  name: {name}",
             f"  domain: {domain}", "topics:", *(f"  - {topic.title()}" for topic in draw.sample(_WORDS, 3)), "images:",
             f'  - url: "https://img.{domain}/{number}.jpg"', "    width: 640", "    height: 480", "related:"]  # fmt: skip
    # Some of these have documents too, earlier or later than this one; others never get one.
    for other in draw.sample(range(count + count // 4), 6):
        other_name, other_domain = _paper(other)
        lines += [f'  - title: "{_title(other)}"', f'    excerpt: "{_sentence(draw)}"', f'    webUrl: "{_url(other)}"',
                  f"    quality: {draw.randint(0, 120)}", "    provider:", f"      name: {other_name}",
                  f"      domain: {other_domain}"]  # fmt: skip
    lines += [f'secured: "{draw.randbytes(60).hex()};AAECAwQFBgcICQoLDA0ODw=="', "---", _sentence(draw), ""]
    return "\n".join(lines)


def _paper(number: int) -> tuple[str, str]:
    return _PROVIDERS[number % len(_PROVIDERS)]


def _url(number: int) -> str:
    return f"https://www.{_paper(number)[1]}/news/{number}.html"


def _title(number: int) -> str:
    return " ".join(random.Random(-number).sample(_WORDS, 5)).capitalize()


def _sentence(draw: random.Random) -> str:
    return " ".join(draw.choices(_WORDS, k=12)).capitalize() + "."
