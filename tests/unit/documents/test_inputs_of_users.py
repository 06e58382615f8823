"""Inputs after public reports of people who write YAML front matter: what is stored, and what is said about it.

Each row has fields of a document, the codes that are reported with their places, and what is kept. A document gets a title
and a URL where the row has none. A word of the message stands beside a code where the reason matters.
"""

from __future__ import annotations

import re

import pytest

from worker.documents.validation import read

NBSP, ZWSP, NNBSP, LS, NEL, RLO, LRM, ZWNJ, ZWJ, SHY, BOM, IDEOGRAPHIC = (
    "\u00a0\u200b\u202f\u2028\u0085\u202e\u200e\u200c\u200d\u00ad\ufeff\u3000"
)
NOON = "2022-03-19T22:45:00Z"

KEPT = [
    # A comment cuts a value.
    ("title: PR #12 brings a ferry", ["comment_cuts_value 2:11 brings a ferry"], {"title": "PR"}),
    ("title: June 11 — Update #2 (28 ferries)", ["comment_cuts_value 2:25"], {"title": "June 11 — Update"}),
    ("topics: #ferries #harbours", ["comment_cuts_value 4:9 topics"], {"topics": []}),
    ("topics:\n  - #ferries\n  - harbours", ["comment_cuts_value 5:5 topics[0]"], {"topics": ["harbours"]}),
    ("topics: text#tag #tag2", ["single_value 4:9", "comment_cuts_value 4:18"], {"topics": ["text#tag"]}),
    ("excerpt: see issue #8889); done", ["comment_cuts_value 4:20"], {"excerpt": "see issue"}),
    ("excerpt: given a number, #number, or a URL", ["comment_cuts_value 4:26"], {"excerpt": "given a number,"}),
    ("title: Weekly digest # 5", ["comment_cuts_value 2:22"], {"title": "Weekly digest"}),
    ("title: The ferry\n  #1 is late", ["comment_cuts_value 3:3 1 is late"], {"title": "The ferry"}),
    ("excerpt: one\n  two #three", ["comment_cuts_value 5:7"], {"excerpt": "one two"}),
    ("provider: {name: Pier #7 News\n  , domain: a.example}", ["comment_cuts_value 4:23 provider.name"],
     {"provider.name": "Pier", "provider.domain": "a.example"}),
    ("webUrl: https://a.example/x #top", ["comment_cuts_value 3:29"], {"webUrl": "https://a.example/x"}),
    # A comment that stands apart is meant as one, and text in quotes is not cut.
    ("type: video # the kind", [], {"type": "video"}),
    ("quality: 34   #out of ninety", [], {"quality": 34}),
    ("quality: 34 # 5 is the best", [], {"quality": 34}),
    ("# all topics\ntopics:  # a list\n  - ferries\n  # - harbours\n  #- piers", [], {"topics": ["ferries"]}),
    ("title: T\n#quality: 3", [], {"quality": None}),
    ("provider:\n  name: N\n  #domain: a.example", [], {"provider.name": "N"}),
    ('title: "PR #12 brings a ferry"', [], {"title": "PR #12 brings a ferry"}),
    ("title: 'We are #1' # really", [], {"title": "We are #1"}),
    ("title: C# and F#", [], {"title": "C# and F#"}),
    ("excerpt: |\n  one #two\n  three #four", [], {"excerpt": "one #two\nthree #four\n"}),
    ("excerpt: >-\n  one #two", [], {"excerpt": "one #two"}),
    # Anchors and aliases.
    ("title: &ferry late", ["unused_anchor 2:8 &ferry"], {"title": "late"}),
    ("topics: [&b bridges, &b boats, *b]", ["unused_anchor 4:10"], {"topics": ["bridges", "boats", "boats"]}),
    ("provider: &p {name: N}\nother: *p", [], {"provider.name": "N", "other": {"name": "N"}}),
    ("title: Salt & pepper", [], {"title": "Salt & pepper"}),
    ("title: AT&T", [], {"title": "AT&T"}),
    # Characters that nobody sees.
    (f"provider:\n{NBSP}{NBSP}name: N", ["invisible_character 5:1 NO-BREAK SPACE"], {"provider": None}),
    (f"provider:\n{IDEOGRAPHIC}name: N", ["invisible_character 5:1 IDEOGRAPHIC SPACE"], {"provider": None}),
    (f"{ZWSP}topics: [AI]", ["invisible_character 4:1 ZERO WIDTH SPACE", "field_name_case 4:1"], {"topics": ["AI"]}),
    (f"title: Ferry{NEL} late", ["text_cleaned 2:8"], {"title": "Ferry late"}),
    (f"title: One{LS}two", [], {"title": f"One{LS}two"}),
    (f'title: "{RLO}Ferry"', ["text_cleaned 2:8 1 invisible"], {"title": "Ferry"}),
    (f"title: Fer{SHY}ry{ZWSP}", ["text_cleaned 2:8 2 invisible"], {"title": "Ferry"}),
    (f"topics: [A{LRM}I]", ["text_cleaned 4:10 topics[0]"], {"topics": ["AI"]}),
    ('provider: {name: "Harbour\\u200b Courier"}', ["text_cleaned 4:18 provider.name"], {"provider.name": "Harbour Courier"}),
    (f"title: می{ZWNJ}خواهم", [], {"title": f"می{ZWNJ}خواهم"}),
    (f"title: 👩{ZWJ}🚀 flies", [], {"title": f"👩{ZWJ}🚀 flies"}),
    (f"title: ‏שלום{LRM} (1)", [], {"title": f"‏שלום{LRM} (1)"}),
    (f"title: สวัสดี{ZWSP}ชาวโลก", [], {"title": f"สวัสดี{ZWSP}ชาวโลก"}),
    (f"title: Fer{ZWNJ}ry", ["text_cleaned 2:8"], {"title": "Ferry"}),
    ("title: 🏴\U000e0067\U000e0062\U000e007f cup", [], {"title": "🏴\U000e0067\U000e0062\U000e007f cup"}),
    ("title: Ferry\U000e0067", ["text_cleaned 2:8"], {"title": "Ferry"}),
    # URLs with characters that nobody sees.
    (f'webUrl: "https://a.example/x{NNBSP}y"', ["url_with_space 3:9"], {"webUrl": "https://a.example/x%E2%80%AFy"}),
    (f'webUrl: "https://a.example/x{LS}y"', ["url_with_space 3:9"], {"webUrl": "https://a.example/x%E2%80%A8y"}),
    (f"webUrl: https://a.example/x{LS}y", ["url_with_space 3:9"], {"webUrl": "https://a.example/x%E2%80%A8y"}),
    (f"webUrl: https://a.example/x{NBSP}y", ["url_with_space 3:9"], {"webUrl": "https://a.example/x%C2%A0y"}),
    (f"webUrl: https://a.example/x{ZWSP}y", ["url_with_space 3:9"], {"webUrl": "https://a.example/x%E2%80%8By"}),
    (f"webUrl: https://ex{ZWSP}ample.com/x", ["url_with_space 3:9 host"], {}),
    ("images: [/a b.png]", ["url_with_space 4:10"], {"images.0.url": "/a%20b.png"}),
    (f"webUrl: {BOM}https://a.example/x", [], {"webUrl": "https://a.example/x"}),
    # Names of fields.
    ("weburl: https://b.example/y\nx: 1", ["field_name_case 3:9 webUrl"], {"webUrl": "https://b.example/y"}),
    ("Topics: [AI]", ["field_name_case 4:1 topics"], {"topics": ["AI"]}),
    (f"PublishedDateTime: {NOON}", ["field_name_case 4:20"], {"publishedDateTime": NOON}),
    ("TITLE: Ferry", ["field_name_case 2:8"], {"title": "Ferry"}),
    ("topics: [AI]\nTopics: [ML]", ["field_name_case 5:1 topics"], {"topics": ["AI"], "Topics": ["ML"]}),
    ("published_date_time: 2022", ["field_name_unknown 4:22 publishedDateTime"], {"published_date_time": 2022}),
    ("web-url: https://b.example/y", [], {"web-url": "https://b.example/y"}),
    ("amp_web_url: https://b.example/y", ["field_name_unknown 4:14 ampWebUrl"], {"ampWebUrl": None}),
    ("exerpt: Short", ["field_name_unknown 4:9 excerpt"], {"exerpt": "Short", "excerpt": None}),
    ("qualtiy: 3", ["field_name_unknown 4:10 quality"], {"qualtiy": 3}),
    ("topic: AI", ["field_name_unknown 4:8 topics"], {"topic": "AI"}),
    ("date: 2022-03-19", ["field_name_unknown 4:7 publishedDateTime"], {"date": "2022-03-19"}),
    ("pubDate: 2022-03-19", ["field_name_unknown 4:10"], {"pubDate": "2022-03-19"}),
    ("summary: Short", ["field_name_unknown 4:10 excerpt"], {"summary": "Short"}),
    ("provider: {Name: N}", ["field_name_case 4:18 provider.Name"], {"provider.name": "N"}),
    ("related:\n  - WebURL: https://b.example/", ["field_name_case 5:13"], {"related.0.webUrl": "https://b.example/"}),
    ("locations: 3\ntags: [x]\nlayout: post\nauthor: A", [], {"locations": 3, "tags": ["x"]}),
    ("foo: {Title: x, weburl: y}", [], {"foo": {"Title": "x", "weburl": "y"}}),
    # Numbers and booleans of unknown fields.
    ("width: 50\nheight: 2800\nratio: 1.5", [], {"width": 50, "height": 2800, "ratio": 1.5}),
    ("a: true\nb: false\nc: True\nd: No\ne: yes", [], {"a": True, "b": False, "c": "True", "d": "No", "e": "yes"}),
    ("zip: 007\nversion: 1.10\nf: 1.0", [], {"zip": "007", "version": "1.10", "f": 1.0}),
    ("a: '50'\nb: \"50\"\nc: !!str 50\nd: |-\n  50", [], {"a": "50", "b": "50", "c": "50", "d": "50"}),
    ("a: 9007199254740992\nb: 9007199254740993", [], {"a": 2**53, "b": "9007199254740993"}),
    ("a: -3\nb: +3\nc: -0\nd: 1e5\ne: 0x1F\nf: 1_000\ng: .5", [],
     {"a": -3, "b": "+3", "c": "-0", "d": "1e5", "e": "0x1F", "f": "1_000", "g": ".5"}),
    ("a: 12:30:45\nb: 2020-05-29\nc: .nan\nd: 0.1", [], {"a": "12:30:45", "b": "2020-05-29", "c": ".nan", "d": 0.1}),
    ("a: {b: [1, '2', {c: false}]}", [], {"a": {"b": [1, "2", {"c": False}]}}),
    ("a: &n 5\nb: *n\nc: &q '5'\nd: *q", [], {"a": 5, "b": 5, "c": "5", "d": "5"}),
    ("images: [{url: /a.png, size: 40, alt: '40'}]", [], {"images.0.size": 40, "images.0.alt": "40"}),
    ("provider: {domain: a.example, staff: 12}", [], {"provider.staff": 12}),
    ("related:\n  - {webUrl: 'https://b.example/', words: 900}", [], {"related.0.words": 900}),
    ("title: 1984", [], {"title": "1984"}),
    ("topics: [2020, true]", [], {"topics": ["2020", "true"]}),
    # Times.
    ("publishedDateTime: Sat, 19 Mar 2022 22:45:00 +0000", [], {"publishedDateTime": NOON}),
    ("publishedDateTime: Sat, 19 Mar 2022 22:45:00 GMT", [], {"publishedDateTime": NOON}),
    ("publishedDateTime: Sat, 19 Mar 2022 17:45:00 -0500", [], {"publishedDateTime": NOON}),
    ("publishedDateTime: 19 Mar 2022 22:45 UT", [], {"publishedDateTime": NOON}),
    ("publishedDateTime: 'Sat, 19 Mar 22 22:45:00 Z'", [], {"publishedDateTime": NOON}),
    ("publishedDateTime: Sat, 19 Mar 2022 22:45:00 +0000 (UTC)", [], {"publishedDateTime": NOON}),
    ("publishedDateTime: Sat, 19 Mar 2022 22:45:00", ["time_without_zone 4:20"], {"publishedDateTime": NOON}),
    ("publishedDateTime: 20220319T224500Z", [], {"publishedDateTime": NOON}),
    ("publishedDateTime: 20220320T0045+0200", [], {"publishedDateTime": NOON}),
    ("publishedDateTime: 2022-03-19 22:45:00 +0000", [], {"publishedDateTime": NOON}),
    ("publishedDateTime: 2022-03-19T22:45:00 Z", [], {"publishedDateTime": NOON}),
    ("publishedDateTime: 2022-03-20T00:45:00+02:00[Africa/Tripoli]", [], {"publishedDateTime": NOON}),
    ("publishedDateTime: 2022-03-19T24:00:00Z", [], {"publishedDateTime": "2022-03-20T00:00:00Z"}),
    ("publishedDateTime: 2016-12-31T23:59:60Z", [], {"publishedDateTime": "2017-01-01T00:00:00Z"}),
    ("publishedDateTime: 2017-01-01T08:59:60+09:00", [], {"publishedDateTime": "2017-01-01T00:00:00Z"}),
    ("publishedDateTime: 2016-12-31T12:59:60Z", ["bad_time 4:20 leap second"], {"publishedDateTime": None}),
    ("publishedDateTime: 2022-03-19T24:01:00Z", ["bad_time 4:20 hour"], {"publishedDateTime": None}),
    ("publishedDateTime: 05/29/2020", ["bad_time 4:20 which number is the day"], {"publishedDateTime": None}),
    ("publishedDateTime: 29.05.2020 10:00", ["bad_time 4:20 which number is the day"], {"publishedDateTime": None}),
    ("publishedDateTime: 1590793020", ["bad_time 4:20 digits alone"], {"publishedDateTime": None}),
    ("publishedDateTime: 1590793020.5", ["bad_time 4:20 digits alone"], {"publishedDateTime": None}),
    ("publishedDateTime: Sat, 19 Mar 2022 22:45:00 EST", ["bad_time 4:20 EST"], {"publishedDateTime": None}),
    ("publishedDateTime: 2022-03-19 22:45 Europe/Paris", ["bad_time 4:20 Europe/Paris"], {"publishedDateTime": None}),
    ("publishedDateTime: 2022/03/19", ["bad_time 4:20 hyphens"], {"publishedDateTime": None}),
    ("publishedDateTime: Sat, 31 Feb 2022 22:45:00 GMT", ["bad_time 4:20 day"], {"publishedDateTime": None}),
    ("publishedDateTime: <%= now {0} %>", ["bad_time 4:20 usual forms"], {"publishedDateTime": None}),
    # Lists.
    ("topics: ferries, harbours", ["comma_list 4:9"], {"topics": ["ferries", "harbours"]}),
    ('topics: "ferries, , harbours,"', ["comma_list 4:9"], {"topics": ["ferries", "harbours"]}),
    ("topics: ferries", ["single_value 4:9"], {"topics": ["ferries"]}),
    ("topics:\n  - Paris, France", [], {"topics": ["Paris, France"]}),
    ("levels: Beginner, Intermediate", ["comma_list 4:9"], {"levels": ["Beginner", "Intermediate"]}),
    ("related: ['https://b.example/', {webUrl: 'https://c.example/'}]", [],
     {"related.0.webUrl": "https://b.example/", "related.1.webUrl": "https://c.example/"}),
    ("related: https://b.example/", ["single_value 4:10"], {"related.0.webUrl": "https://b.example/"}),
    ("related: [ftp://b.example/]", ["wrong_shape 4:11"], {"related": []}),
    ("topics:\n  - Ferries: the basics\n  - B", ["wrong_shape 5:5 Ferries", ], {"topics": ["B"]}),
    ("type: [video]", ["list_of_one 4:1"], {"type": "video"}),
    # Long labels.
    ("category: " + "x" * 201, ["value_too_long 4:11"], {"category": None}),
    ("type: " + "x" * 201, ["value_too_long 4:7"], {"type": None}),
    ("locale: " + "x" * 201, ["value_too_long 4:9"], {"locale": None}),
    (f"provider: {{name: {'x' * 201}, domain: a.example}}", ["value_too_long 4:18"], {"provider.name": None}),
    ("title: " + "x" * 1000, [], {"title": "x" * 1000}),
    # Words of YAML.
    ("category: null\nlocale: ~", [], {"category": None, "locale": None}),
    ("title: 'Null'", [], {"title": "Null"}),
    ("title: No", [], {"title": "No"}),
]  # fmt: skip

REJECTED = [
    ("title: Null", "no_title 2:1 Null"),
    ("title: ~", "no_title 2:1 ~"),
    ("title:", "no_title 2:1 neither"),
    ("title: " + "x" * 1001, "no_title"),
    ('title: "Ferry\nexcerpt: one\ntype: "video"', "yaml_unclosed_quote 2:8 opens here"),
    ('title: "Ferry' + "\nexcerpt: x" * 30 + '\ntype: "video"', "yaml_unclosed_quote 2:8"),
    ("title: 'Ferry\nexcerpt: it's late\n", "yaml_unclosed_quote 2:8"),
    ('title: "Ferry\nexcerpt: The "big" one', "yaml_unclosed_quote 2:8"),
    ('title: "one\n  two "three" four"', "yaml_inner_quotes 3:8"),
    ('title: The "big" one\nexcerpt: "a "b" c"', "yaml_inner_quotes 3:14"),
    ("a: " + "[" * 1100, "too_deep"),
    (f"category:{NBSP}news", "yaml_missing_colon 4:10 NO-BREAK SPACE"),
    (f"category:{NBSP}news\ntype: video", "yaml_missing_colon 4:10 NO-BREAK SPACE"),
    (f"topics:\n{NBSP}{NBSP}- ferries\ntype: video", "yaml_indentation 5:1 NO-BREAK SPACE"),
    ("category：news\ntype: video", "yaml_missing_colon 4:9 FULLWIDTH COLON"),
    ("category:news\ntype: video", "yaml_missing_colon 4:10 space is missing"),
    ("type: video\ncategory:news", "yaml_missing_colon 5:10 space is missing"),
    ("a: &t [AI, *t]", "yaml_unknown_alias 4:12 contain itself"),
    ("topics: [ferries #1, harbours]", "yaml_unclosed_bracket 4:18 comment"),
    ("excerpt: one #two\n  three", "yaml_special_character 4:14 comment"),
    ("title: @ferry", "yaml_special_character 2:8 @"),
    ("title: [Draft] Ferry", "yaml_text_after_bracket 2:16"),
    ("title: {{ title }}", "yaml_key 2:9"),
    ("title: Ferry: late", "yaml_unquoted_colon 2:13"),
    ("title: *bold* words", "yaml_special_character 2:8 *"),
    ("\ttitle: T", "yaml_tab 3:1"),
    ("title: %d ferries", "yaml_special_character 2:8 %"),
    ("title: T\ntitle: U", "duplicate_key 3:1"),
]  # fmt: skip


def document(fields):
    head = "" if re.match(r"title:|TITLE:|\ttitle", fields) else "title: T\n"
    url = "" if re.match(r"web[uU]rl:", fields) else "webUrl: https://a.example/x\n"
    if fields.lower().startswith("title:"):
        return f"---\n{fields}\n{url}---\n".encode()
    return f"---\n{head}{url}{fields}\n---\n".encode()


def described(problem):
    return f"{problem.code} {problem.line}:{problem.column} {problem.field}: {problem.message} {problem.expected}"


def agrees(problem, expected):
    code, _, rest = expected.partition(" ")
    place, _, words = rest.partition(" ")
    return (
        problem.code == code
        and place in ("", f"{problem.line}:{problem.column}")
        and words in described(problem)
        and problem.message.isprintable()
    )


def kept(article, path):
    value = article.model_dump(mode="json")
    for step in path.split("."):
        value = value[int(step)] if isinstance(value, list) else value.get(step)
    return value


@pytest.mark.parametrize(("fields", "expected", "stored"), KEPT, ids=range(len(KEPT)))
def test_the_document_is_kept_with_its_values_and_warnings(fields, expected, stored):
    reading = read(document(fields), has_key=False)
    shown = [described(problem) for problem in reading.problems]
    assert not reading.rejected, shown
    assert len(shown) == len(expected), shown
    assert all(map(agrees, reading.problems, expected)), shown
    for path, value in stored.items():
        found = kept(reading.article, path)
        assert (found, type(found)) == (value, type(value)), path


@pytest.mark.parametrize(("fields", "expected"), REJECTED, ids=range(len(REJECTED)))
def test_the_document_is_rejected_with_a_reason_that_helps(fields, expected):
    reading = read(document(fields), has_key=False)
    shown = [described(problem) for problem in reading.problems]
    assert reading.rejected, shown
    assert any(agrees(problem, expected) for problem in reading.problems), shown


@pytest.mark.parametrize("name", ["url", "uri", "canonical", "primaryUrl", "article_url", "permalink"])
def test_another_name_of_the_url_gets_a_warning_if_the_document_has_no_url(name):
    alone = read(f"---\ntitle: T\n{name}: https://a.example/x\n---\n".encode(), has_key=True)
    assert [(one.code, one.line, one.expected) for one in alone.problems] == [("field_name_unknown", 3, "webUrl")]
    both = read(
        f"---\ntitle: T\n{name}: https://a.example/x\nwebUrl: https://a.example/x\n---\n".encode(), has_key=True
    )
    assert both.problems == ()
