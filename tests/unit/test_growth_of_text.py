"""Functions that read foreign text take time in proportion to its length, whatever the text is."""

from __future__ import annotations

import contextlib
import time
from xml.sax.saxutils import escape as xml

import pytest

from schemas.amounts import price_of, seconds_of
from schemas.problem import Problem, problem
from schemas.text.urls import escape_spaces, url_fault
from worker.console.source_lines import source_lines
from worker.dead_letters.redacted_text import redact
from worker.documents.characters import clean_text
from worker.documents.limits import Limits
from worker.documents.problem_display import render
from worker.documents.validation import read
from worker.enrichment.language import language_of_text
from worker.enrichment.titles import clean, strip_provider_suffix
from worker.enrichment.topics import _ITEM_END, _SENTENCE_END, TopicFinder, topic_slug
from worker.enrichment.urls.canonical_urls import canonicalise
from worker.enrichment.urls.hosts import canonical_host, registrable_domain
from worker.linking.pairs.evidence import Evidence
from worker.linking.pairs.similar_links import Link, Text, reasons_of
from worker.linking.texts.conflicts import TitleNames, conflicts_of
from worker.linking.texts.frequencies import Frequencies
from worker.linking.texts.genres import is_reference
from worker.linking.texts.words import words
from worker.queries.sources.url_lists import UnreadableList, read_urls
from worker.telemetry.redaction import mask, mask_page, secret_spans
from worker.telemetry.terminal import plain, printable

LIMITS = Limits(max_bytes=16 << 20)
PIECES = ["A", "a1", "://", "://a", "@", "password", "password=", "password=\"", "pwd='", "pwd=x1 ", "secured: ", "secured: |", "secured: \"\\",
          "A" * 20 + ";", "A" * 20 + "==;" + "B" * 22, " ", "\t", "\n", "- ", "-", ".", "!a", "a.", "\u0301", "[", "{", "\"", "'", ":", "&", "&amp;", "%",
          "%4", "/", "/../", "?a=", "#", "| ", "on ", "\u202e", "\x9b", "中", "1 hour ", "1a", "\nsecured: x\n", "\npassword: x"]  # fmt: skip


def _shown(text):
    found = redact(text.encode())
    found.raw(found.text)


def _reason(text):
    link = Link("similar", Text(text, text, 1), Text(text, text, 2), Evidence(1.0, 1.0, 0.0))
    return reasons_of([link], Frequencies().weights())


def _conflicts(text):
    conflicts_of(TitleNames.of(f"Person1 {text}", text), TitleNames.of(f"Person2 {text}", text))


def _quiet(function):
    def run(text):
        with contextlib.suppress(ValueError, TypeError, UnreadableList):
            function(text)

    return run


FUNCTIONS = {
    "mask": mask, "mask_page": mask_page, "secret_spans": secret_spans, "hidden": _shown, "plain": plain, "printable": printable,
    "read": lambda text: read(f"---\ntitle: x\n---\n{text}".encode(), has_key=True, limits=LIMITS),
    "read front matter": lambda text: read(f"---\ntitle: {text}\n---\n".encode(), has_key=True, limits=LIMITS),
    "read quoted": lambda text: read(f"---\ntitle: \"{text}\n---\n".encode(), has_key=True, limits=LIMITS),
    "render": lambda text: render(text.encode(), Problem(**problem("bad_url", line=1, column=1).model_dump())),
    "lines": lambda text: source_lines(redact(text.encode()), [problem("bad_url", line=1, column=len(text) // 2)]),
    "clean_text": clean_text, "clean": clean, "suffix": lambda text: strip_provider_suffix(text, text[:50], None),
    "slug": topic_slug, "items": lambda text: list(_ITEM_END.finditer(text)), "sentences": lambda text: list(_SENTENCE_END.finditer(text)),
    "language": language_of_text, "canonicalise": lambda text: canonicalise.__wrapped__("https://a.example/" + text),
    "canonicalise host": lambda text: canonicalise.__wrapped__("https://" + text), "url_fault": lambda text: url_fault("https://" + text),
    "spaces": escape_spaces, "host": lambda text: canonical_host.__wrapped__(text), "domain": registrable_domain, "seconds": seconds_of,
    "price": price_of, "words": words, "reason": _reason, "conflicts": _conflicts,
    "reference": is_reference, "sitemap": lambda text: read_urls(f"<urlset><url><loc>{xml(text)}</loc></url></urlset>".encode()),
    "sitemap elsewhere": lambda text: read_urls(f"<urlset><x>{xml(text)}</x></urlset>".encode()), "list": lambda text: read_urls(text.encode()),
}  # fmt: skip


def _seconds(function, text, enough=0.05):
    """Return the CPU time of the function: the least of two measurements, or the first one that is less than `enough`."""
    best = float("inf")
    for _ in range(2):
        began = time.process_time()
        function(text)
        best = min(best, time.process_time() - began)
        if best < enough:
            break
    return best


def _check(name, size):
    function, slow = _quiet(FUNCTIONS[name]), []
    for piece in PIECES:
        once = (piece * (size // len(piece) + 1))[:size]
        for text in (once, once + "\x00"):
            # If it were quadratic, eight times the text would take 64 times as long. Very short times cannot be
            # compared.
            long = _seconds(function, text * 8, enough=0.5)
            if long > 0.5 and long > 24 * max(_seconds(function, text), 0.005):
                slow.append((piece, long))
                break
    assert not slow, f"{name} takes more than its share of time for {slow}"


@pytest.mark.parametrize("name", FUNCTIONS)
def test_time_grows_linearly_with_the_text(name):
    _check(name, 4_000)


@pytest.mark.long
@pytest.mark.parametrize("name", FUNCTIONS)
def test_time_grows_linearly_up_to_a_megabyte(name):
    _check(name, 125_000)


NUMBERED = [f"kw{n}" for n in range(2_000)]
TOPICS = {
    "keywords with one first word": ({"sea": [f"the {word}" for word in NUMBERED]}, "the "),
    "keywords of many equal words": ({"sea": ["a " * (n % 100) + "b" for n in range(2_000)]}, "a "),
    "keywords that are all in the text": ({"sea": NUMBERED}, " ".join(NUMBERED) + " "),
    "topics named once each": ({f"{word} other": [word] for word in NUMBERED}, " ".join(NUMBERED) + " "),
    "topics in lists": ({word: ["ferry"] for word in NUMBERED}, "ferry, ferry, ferry, ferry. One two three four five six. "),
    "topics with one keyword": ({word: ["the"] for word in NUMBERED}, "the "),
}  # fmt: skip


@pytest.mark.parametrize("name", TOPICS)
def test_topics_are_found_in_the_time_of_one_topic_whatever_the_text_is(name):
    keywords, unit = TOPICS[name]
    finder = TopicFinder(keywords)
    text = (unit * 65_536)[:65_536]
    alone = _seconds(lambda text: TopicFinder({"ferry": ["ferry", "the"]}).find(None, text), text)
    # The product of keywords and words takes more than a second (10 s, where they have one first word).
    assert _seconds(lambda text: finder.find(None, text), text) < 10 * alone + 0.15
