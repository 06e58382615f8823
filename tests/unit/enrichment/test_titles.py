"""Titles, excerpts and topics in readable form."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.enrichment.language import language_of
from worker.enrichment.titles import clean, clean_or_none, strip_provider_suffix
from worker.enrichment.topics import stated_topics


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("Mayor &amp; council", "Mayor & council"),
        ("Rock &#8217;n&#x2019; roll", "Rock ’n’ roll"),
        ("&ldquo;No&rdquo;", "“No”"),
        ("escaped &amp;quot;twice&amp;quot;", 'escaped "twice"'),
        ("R&amp;amp;D", "R&D"),
        ("it&amp;#39;s", "it's"),
        ("how to write &amp;lt;b&amp;gt;", "how to write &lt;b&gt;"),
        ("1 &lt; 2", "1 < 2"),
        ("AT&T and ?a=1&copy=2", "AT&T and ?a=1&copy=2"),
        ("&nosuchname;", "&nosuchname;"),
        ("&#0;&#1;x", "\ufffdx"),
        ("&#xD800;", "\ufffd"),
        ("cafe&#x301;", "café"),
        ("  a\n b\t\u00a0c  ", "a b c"),
        ("a&nbsp;b", "a b"),
        ("\u200b\ufeff hidden \u200b", "hidden"),
        ("👨\u200d👩\u200d👧 family", "👨\u200d👩\u200d👧 family"),
        ("", ""),
    ],
)
def test_markup_and_white_space_are_cleaned(text, cleaned):
    assert clean(text) == cleaned


@given(st.text())
def test_cleaned_text_has_no_white_space_at_the_edges_nor_runs_of_it(text):
    cleaned = clean(text)
    assert cleaned == " ".join(cleaned.split())


def test_an_empty_cleaned_text_is_none():
    assert clean_or_none(" \u200b\n") is None
    assert clean_or_none(None) is None


@pytest.mark.parametrize(
    ("title", "name", "domain", "stripped"),
    [
        ("Bridge opens | Harbour Times", "Harbour Times", "harbourtimes.example", "Bridge opens"),
        ("Bridge opens - Harbour Times", "Harbour Times", None, "Bridge opens"),
        ("Bridge opens – HARBOUR TIMES", "Harbour Times", None, "Bridge opens"),
        ("Bridge opens — The Harbour Times", "Harbour Times", None, "Bridge opens"),
        ("Bridge opens :: Harbour Times", "The Harbour Times", None, "Bridge opens"),
        ("Bridge opens | Hill News and Post", "Hill News & Post", None, "Bridge opens"),
        ("Bridge opens | St. John's Post", "St Johns Post", None, "Bridge opens"),
        ("Bridge opens | harbourtimes.com", "HT", "www.harbourtimes.com", "Bridge opens"),
        ("Bridge opens | Harbour Times", None, "harbourtimes.com", "Bridge opens"),
        ("Bridge opens | Harbour - Times", "Harbour - Times", None, "Bridge opens"),
        ("Bridge opens | Harbour Times - harbourtimes.com", "Harbour Times", "harbourtimes.com", "Bridge opens"),
        # kept: the name of another provider, part of a sentence, no separator, nothing would be left
        ("Bridge opens | Hill Post", "Harbour Times", "harbourtimes.com", "Bridge opens | Hill Post"),
        ("Bridge opens | Local news", "Harbour Times", "harbourtimes.com", "Bridge opens | Local news"),
        ("Chess - the Harbour Times way", "Harbour Times", None, "Chess - the Harbour Times way"),
        ("A talk with Harbour Times", "Harbour Times", None, "A talk with Harbour Times"),
        ("Bridge-Harbour Times", "Harbour Times", None, "Bridge-Harbour Times"),
        ("Harbour Times | the bridge opens", "Harbour Times", None, "Harbour Times | the bridge opens"),
        ("- | Harbour Times", "Harbour Times", None, "- | Harbour Times"),
        ("Harbour Times", "Harbour Times", None, "Harbour Times"),
        ("Bridge opens | ???", "!!!", None, "Bridge opens | ???"),
        ("Bridge opens | X", None, None, "Bridge opens | X"),
    ],
)
def test_a_suffix_is_removed_only_when_it_is_the_provider(title, name, domain, stripped):
    assert strip_provider_suffix(title, name, domain) == stripped


@given(st.text(min_size=1), st.one_of(st.none(), st.text(max_size=8)), st.one_of(st.none(), st.text(max_size=8)))
def test_a_stripped_title_is_the_start_of_the_title_and_never_empty(title, name, domain):
    stripped = strip_provider_suffix(f"{title} | {name}", name, domain)
    assert stripped
    assert f"{title} | {name}".startswith(stripped)


def test_topics_keep_their_order_and_better_spelling():
    assert stated_topics([" AI ", "Chess &amp; Go", "ai", "", "chess  & go", "STRASSE", "straße"]) == [
        "AI",
        "Chess & Go",
        "straße",
    ]


@pytest.mark.parametrize(
    ("locale", "language"),
    [("en-US", "en"), ("pt_BR", "pt"), (" DE ", "de"), ("gsw-CH", "gsw"), ("english", None), ("", None), (None, None)],
)
def test_the_language_of_a_locale_is_its_first_part(locale, language):
    assert language_of(locale) == language


@pytest.mark.timeout(5)
def test_a_hostile_title_costs_no_more_than_its_length():
    title = "Bridge" + " | X" * 50_000
    assert strip_provider_suffix(title, "X", "x.com").startswith("Bridge | X")
