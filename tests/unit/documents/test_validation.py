from __future__ import annotations

from datetime import UTC, datetime

import pytest

from worker.documents.front_matter import fingerprint
from worker.documents.limits import Limits
from worker.documents.problem_display import render
from worker.documents.validation import read


def document(fields, body="", url="webUrl: https://a.example/x\n", title="title: T\n"):
    return f"---\n{title}{url}{fields}---\n{body}".encode()


def read_fields(fields, **more):
    reading = read(document(fields, **more), has_key=False)
    return reading, [(found.code, found.field, found.line, found.column) for found in reading.problems]


def test_a_valid_document_has_no_problem():
    reading, problems = read_fields("quality: 219\npublished: no\nprice:\nheat:\nodd: 'yes'\n", body="text\n")
    assert problems == []
    article = reading.article
    assert (article.title, article.quality, article.published, article.heat) == ("T", 219, False, None)
    assert (article.price, article.model_extra) == (None, {"odd": "yes"})
    assert reading.body == "text\n"


def test_invalid_parts_are_dropped_and_all_reported():
    reading, problems = read_fields(
        "quality: high\npublishedDateTime: 2020-05-29 22:57:00\nampUrl: ftp://a.example/\n"
        "provider: {name: [x], id: a.example}\n"
        "topics: [A, [B], C]\nimages:\n  - url: x.png\n  - {url: https://a.example/i.png, width: wide}\n"
        "related:\n  - webUrl: https://b.example/\n    quality: x\n  - text\n  - title: none\n"
    )
    assert problems == [
        ("bad_integer", "quality", 4, 10),
        ("time_without_zone", "publishedDateTime", 5, 20),
        ("bad_url", "ampUrl", 6, 9),
        ("wrong_shape", "provider.name", 7, 12),
        ("wrong_shape", "topics[1]", 8, 13),
        ("bad_url", "images[0].url", 10, 10),
        ("bad_integer", "images[1].width", 11, 43),
        ("bad_integer", "related[0].quality", 14, 14),
        ("wrong_shape", "related[1]", 15, 5),
        ("related_without_url", "related[2]", 16, 5),
    ]
    article = reading.article
    assert article.published_at == datetime(2020, 5, 29, 22, 57, tzinfo=UTC)
    assert article.provider.domain == "a.example"
    assert article.topics == ["A", "C"]
    assert [image.url for image in article.images] == ["https://a.example/i.png"]
    assert len(article.related) == 2


def test_field_names_of_three_generations_are_accepted():
    article = read_fields("abstract: E\nscore: 3\nampUrl: https://a.example/amp\nprovider: {id: a.example}\n")[
        0
    ].article
    assert (article.excerpt, article.score, article.amp_url) == ("E", 3, "https://a.example/amp")
    assert article.provider.domain == "a.example"
    both = read_fields("ampWebUrl: ''\nampUrl: https://a.example/amp\nexcerpt: E\nabstract: F\n")[0].article
    assert (both.amp_url, both.excerpt, both.model_extra) == ("https://a.example/amp", "E", {"abstract": "F"})


@pytest.mark.parametrize(
    ("title", "url", "has_key", "code"),
    [
        ("", "webUrl: https://a.example/\n", False, "no_title"),
        ("title: ' '\n", "webUrl: https://a.example/\n", False, "no_title"),
        ("title: T\n", "", False, "no_identity"),
        ("title: T\n", "webUrl: ''\n", False, "no_identity"),
        ("title: T\n", "webUrl: nowhere\n", True, "bad_primary_url"),
        ("title: T\n", "webUrl: [https://a.example/]\nsourceUrl: https://a.example/\n", True, "bad_primary_url"),
        ("title: T\n", "sourceUrl: https://u:p@a.example/\n", True, "bad_primary_url"),
        ("title: T\n", "taxonomy: shelf\n", True, "reference_document"),
    ],
)
def test_documents_without_a_title_or_a_valid_identity_are_rejected(title, url, has_key, code):
    reading = read(document("", url=url, title=title), has_key=has_key)
    assert reading.rejected
    assert [found.code for found in reading.problems] == [code]
    assert all("u:p" not in (found.value or "") for found in reading.problems)


def test_a_name_and_a_key_are_sufficient():
    reading = read(document("", url="webUrl: ''\nsourceUrl:\n", title="name: N\n"), has_key=True)
    assert (reading.article.name, reading.problems) == ("N", ())


def test_single_values_and_empty_items_in_lists_are_accepted():
    reading, problems = read_fields(
        "topics: AI\nimages: https://a.example/i.png\nrelated: {webUrl: https://b.example/}\n"
    )
    assert [code for code, *_ in problems] == ["single_value"] * 3
    assert (reading.article.topics, reading.article.images[0].url) == (["AI"], "https://a.example/i.png")
    reading, problems = read_fields("topics: [AI, '', ~, B]\nimages: [https://a.example/i.png]\n")
    assert (reading.article.topics, problems) == (["AI", "B"], [])


def test_a_list_of_one_is_read_as_its_value():
    reading, problems = read_fields(
        "type: [video]\nlength: [PT3M]\nprovider: [{domain: a.example}]\nexcerpt: [a, b]\nratings: [[1]]\n"
        "related: [{title: [T], webUrl: 'https://b.example/'}]\n"
    )
    assert [(code, path) for code, path, *_ in problems if code == "list_of_one"] == [
        ("list_of_one", name) for name in ("type", "length", "provider", "ratings", "related[0].title")
    ]
    assert [path for code, path, *_ in problems if code == "wrong_shape"] == ["excerpt", "ratings"]
    article = reading.article
    assert (article.kind, article.length, article.provider.domain) == ("video", "PT3M", "a.example")
    assert (article.related[0].title, article.related[0].web_url) == ("T", "https://b.example/")


def test_numbers_of_entries_are_those_of_the_document():
    assert read_fields("topics: [~, {}, A, {}]\n")[1] == [
        ("wrong_shape", "topics[1]", 4, 13),
        ("wrong_shape", "topics[3]", 4, 20),
    ]


@pytest.mark.parametrize(
    ("raw", "limits", "code"),
    [
        (document("a: " + "x" * 100 + "\n"), Limits(max_bytes=100), "too_large"),
        (document("a: [x, x, x]\n"), Limits(max_nodes=4), "too_many_nodes"),
        (document("topics: [x, x, x]\n"), Limits(max_items=2), "too_many_items"),
        (document("a: 12345\n"), Limits(max_scalar=4), "value_too_long"),
        (document("topics: [[], [], [], []]\n"), Limits(max_problems=2), "too_many_problems"),
    ],
)
def test_each_limit_has_its_problem(raw, limits, code):
    assert code in [found.code for found in read(raw, has_key=True, limits=limits).problems]


def test_the_body_is_cleaned():
    reading, problems = read_fields("", body="one\ntw\0o\n")
    assert reading.body == "one\ntwo\n"
    assert problems == [("text_cleaned", None, 6, 3)]


def test_secured_and_credentials_are_never_shown():
    raw = document('secured: ["c2VjcmV0"]\nampUrl: https://me:secret@a.example/\n')
    reading = read(raw, has_key=False)
    shown = "".join(render(raw, found) + found.model_dump_json() for found in reading.problems)
    assert "wrong_shape" in shown
    assert "bad_url" in shown
    assert "c2VjcmV0" not in shown
    assert "secret" not in shown


@pytest.mark.parametrize(
    "fields",
    [
        "Secured: c2VjcmV0\n",
        "SECURED: c2VjcmV0\n",
        "secure: c2VjcmV0\n",
        "securd: c2VjcmV0\n",
        "secured: a #c2VjcmV0\n",
        "secured: &c2VjcmV0 x\n",
        "secured:\n  &c2VjcmV0 x\n",
        "? secured\n: &c2VjcmV0 x\n",
        "secured: *c2VjcmV0\n",
        "secured:\n  c2VjcmV0: x\n",
        "provider:\n  secured: *c2VjcmV0\n",
        "provider: {secured: *c2VjcmV0}\n",
    ],
)
def test_a_problem_does_not_quote_secured(fields):
    raw = document(fields)
    problems = read(raw, has_key=False).problems
    assert any("secur" in (found.field or "").casefold() for found in problems)
    shown = "".join(render(raw, found) + found.model_dump_json() for found in problems)
    assert "c2VjcmV0" not in shown


def test_a_problem_beside_secured_keeps_its_quotation():
    found = read(document("secured: x\nheading: *nowhere\n"), has_key=False).problems
    assert [(one.code, one.field) for one in found] == [("yaml_unknown_alias", None)]
    assert "nowhere" in found[0].message


@pytest.mark.parametrize(
    ("fields", "confirmed"),
    [
        ('secured: "YQ==;YQ=="\n', True),
        ("other: x\n", True),
        ("a: 'x\n\nsecured: \"YQ==;YQ==\"\n\n  y'\n", False),
        ('a:\n  b: |\n    x\nsecured: "YQ==;YQ=="\n', True),
    ],
)
def test_a_fingerprint_is_confirmed_by_the_parser(fields, confirmed):
    raw = document(fields)
    reading = read(raw, has_key=False)
    assert not reading.rejected
    assert reading.fingerprint == (fingerprint(raw) if confirmed else None)
    assert read(raw, has_key=False, fingerprint=fingerprint(raw)).fingerprint == reading.fingerprint


def test_sponsors_are_kept_by_their_name():
    reading = read(b"---\nsponsor:\n  name: Quayside\n---\n", has_key=True)
    assert (reading.article.name, reading.problems) == ("Quayside", ())


def test_a_url_that_loses_characters_is_another_one_and_refused():
    reading = read(
        b'---\ntitle: T\nwebUrl: "https://a.example/\\0x"\nother: "https://a.example/\\0x"\n---\n', has_key=True
    )
    assert [found.code for found in reading.problems] == ["text_cleaned", "bad_primary_url", "text_cleaned"]
    reading = read(b'---\ntitle: T\nother: "https://a.example/\\0x"\n---\n', has_key=True)
    assert reading.article.model_extra == {"other": "https://a.example/\ufffdx"}


def test_invisible_characters_around_a_url_are_removed():
    reading = read('---\ntitle: T\nwebUrl: "\ufeffhttps://a.example/\u200b "\n---\n'.encode(), has_key=False)
    assert (reading.article.web_url, reading.problems) == ("https://a.example/", ())


@pytest.mark.parametrize(
    ("fields", "value"),
    [
        ("n: &a 5\nx: *a", 5),
        ('n: &a "5"\nx: *a', "5"),
        ("n: &a\n  5\nx: *a", 5),
        ("n: &a !!int 5\nx: *a", 5),
        ("n: &a !!str 5\nx: *a", "5"),
        ("n: &a '5'\nm: &a 5\nx: *a", 5),
        ("n: &a 5\nm: &a '5'\nx: *a", "5"),
        ("n: &a 5\nm: '&a \"'\nx: *a", 5),
        ("n: &a [5, '5']\nx: *a", [5, "5"]),
        ("n: &a {k: &b 5}\nx: [*b, *a]", [5, {"k": 5}]),
        ("x: !!int '5'", "5"),
    ],
)
def test_an_alias_has_the_type_of_the_value_that_its_anchor_names(fields, value):
    read_document = read(f"---\ntitle: A\nwebUrl: https://a.example/1\n{fields}\n---\n".encode(), has_key=False)
    assert read_document.article.model_extra["x"] == value
