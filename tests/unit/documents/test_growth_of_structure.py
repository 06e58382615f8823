"""A document is read and enriched in time proportional to its number of fields and entries, whatever they are."""

from __future__ import annotations

import itertools
import time

import pytest

from worker.documents.limits import Limits
from worker.documents.validation import read
from worker.enrichment.enricher import enrich

FEW, MANY, PRODUCT = 600, 4_800, 8_000
LIMITS = Limits(max_bytes=4 << 20, max_nodes=1_000_000, max_aliases=100_000, max_merge_keys=100_000)
VARIANTS = ["".join(one) for one in itertools.islice(itertools.product("-_", repeat=13), PRODUCT)]
LISTS = ("images", "related", "topics", "items", "github", "ratings", "provider")
ENTRIES = {
    "with the same unknown field": "- quality-: 1",
    "with a URL each": "- {{webUrl: https://a.example/{n}, title: T{n}}}",
    "with the same URL": "- {{webUrl: https://a.example/1, title: T{n}, url: https://a.example/1}}",
    "with a wrong URL": "- {{webUrl: nowhere {n}, url: nowhere {n}}}",
    "with images": "- {{webUrl: https://a.example/{n}, images: [{{url: https://i.example/{n}}}]}}",
    "of text": "- word {n}",
    "of null": "- ~",
    "of lists": "- [a, [b]]",
    "that are aliases": "- *one",
}
FIELDS = {
    "unknown": "k{n}: x",
    "that resemble a known one": "quality{variant}: x",
    "that differ by case": "TiTle{n}: x",
    "misspelt": "publishedDateTim\\u{n:04x}: x",
    "with anchors": "k{n}: &a{n} x",
    "merged": "k{n}: {{<<: *one}}",
    "twice": "k{half}: x",
    "with a comment": "k{n}: x # y",
    "not text": "{n}: {n}",
}
HEAD = "one: &one {a: 1}\ntitle: T\nwebUrl: https://mk.example/1\n"


def _document(fields, entries, *, field="unknown", entry="of text", name="related"):
    """Return a document with so many fields and so many entries of the list `name`."""

    def lines(form, count):
        return [form.format(n=n, half=n // 2, variant=VARIANTS[n]) for n in range(count)]

    written = [
        f'"{name}": {value}' for name, _, value in (line.partition(": ") for line in lines(FIELDS[field], fields))
    ]
    parts = ["---", HEAD.rstrip(), *written, f"{name}:", *lines(ENTRIES[entry], entries), "---", "Text"]
    return "\n".join(parts).encode()


def _seconds(raw):
    began = time.process_time()
    reading = read(raw, has_key=True, limits=LIMITS)
    if reading.article is not None:
        enrich(reading.article, reading.body, source="s", key="k")
    return time.process_time() - began


def _grows_linearly(few, many):
    # If it were quadratic, eight times as many would take 64 times as long. Very short times cannot be compared. The least of
    # two measurements counts, because other programs slow down one of them.
    seconds = _seconds(many)
    if seconds >= 0.5:
        assert min(seconds, _seconds(many)) < 24 * max(_seconds(few), 0.005)


@pytest.mark.parametrize("field", FIELDS)
def test_time_grows_linearly_with_the_fields(field):
    _grows_linearly(*(_document(count, 0, field=field) for count in (FEW, MANY)))


@pytest.mark.parametrize(
    "name", ["related", *(pytest.param(name, marks=pytest.mark.long) for name in LISTS if name != "related")]
)
@pytest.mark.parametrize("entry", ENTRIES)
def test_time_grows_linearly_with_the_entries(entry, name):
    _grows_linearly(*(_document(0, count, entry=entry, name=name) for count in (FEW, MANY)))


@pytest.mark.parametrize(
    ("field", "name"),
    [("that resemble a known one", "images"), ("misspelt", "related"),
     *(pytest.param(field, name, marks=pytest.mark.long) for field in FIELDS for name in LISTS)],
)  # fmt: skip
def test_many_fields_beside_many_entries_take_the_time_of_both(field, name):
    parts = {"field": field, "entry": "with the same unknown field", "name": name}
    alone = _seconds(_document(PRODUCT, 0, **parts)) + _seconds(_document(0, PRODUCT, **parts))
    assert _seconds(_document(PRODUCT, PRODUCT, **parts)) < 2 * alone + 0.3


LONG = "a & " * 64_000
BESIDE_ALIASES = {
    "far from the anchor": f"n: &a 1\npads: ['{LONG}', '{LONG}', '{LONG}']\n",
    "with a long space after the anchor": f"n: &a {' ' * 750_000}1\n",
    "of a field with a long space": f"n: &a {{k: &b {' ' * 750_000}1}}\n",
}


@pytest.mark.parametrize("before", BESIDE_ALIASES)
def test_aliases_in_a_long_document_take_the_time_of_both(before):
    def document(text, aliases):
        return f"---\n{HEAD}{text}xs: [{', '.join(['*a'] * aliases)}]\n---\n".encode()

    alone = _seconds(document(BESIDE_ALIASES[before], 1)) + _seconds(document("n: &a 1\n", 9_000))
    # Their product takes 2 s and more.
    assert _seconds(document(BESIDE_ALIASES[before], 9_000)) < 2 * alone + 0.3
