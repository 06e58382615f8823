"""The canonical form of URLs: the table of rules, what must stay apart, and the two invariants."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from worker.enrichment.urls.canonical_urls import (
    RULES,
    article_hash_for_key,
    canonicalise,
    document_hash,
    registrable_domain,
    url_hash,
)
from worker.enrichment.urls.tracking_parameters import ALONE, PREFIXES, TRACKING, is_tracking

NEVER_STRIPPED = ("id", "p", "v", "q", "s", "t", "page", "ref", "source", "partner", "cid", "amp", "edition", "lang")


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_each_rule_does_what_its_example_says(rule):
    assert canonicalise(rule.before) == rule.after


@pytest.mark.parametrize(
    ("url", "canonical"),
    [
        ("HTTP://WWW.Example.COM", "https://example.com/"),
        ("https://example.com", "https://example.com/"),
        ("https://example.com//", "https://example.com/"),
        ("https://example.com?utm_source=x", "https://example.com/"),
        ("  https://example.com/a\n", "https://example.com/a"),
        ("https:\\\\example.com\\a", "https:\\\\example.com\\a"),  # not a URL with an authority: left alone
        ("https://example.com\\a\\b", "https://example.com/a/b"),
        ("http://example.com:80/a", "https://example.com/a"),
        ("http://example.com:443/a", "https://example.com/a"),
        ("http://example.com:8080/a", "http://example.com:8080/a"),
        ("https://example.com:08443/a", "https://example.com:8443/a"),
        ("https://example.com:/a", "https://example.com/a"),
        ("https://[2001:DB8::1]:443/a", "https://[2001:db8::1]/a"),
        ("https://192.0.2.7/a", "https://192.0.2.7/a"),
        ("https://www.amp.example.com/a", "https://example.com/a"),
        ("https://amp.www.example.com/a", "https://example.com/a"),
        ("https://www.gov.uk/guidance", "https://www.gov.uk/guidance"),
        ("https://amp.dev/about", "https://amp.dev/about"),
        ("https://www.com/", "https://www.com/"),
        ("https://i❤.ws/", "https://xn--i-7iq.ws/"),
        ("https://例え。テスト/", "https://xn--r8jz45g.xn--zckzah/"),
        ("https://under_score.example.com/", "https://under_score.example.com/"),
        ("https://example.com/a%2fb", "https://example.com/a%2Fb"),
        ("https://example.com/100%", "https://example.com/100%25"),
        ("https://example.com/é%41", "https://example.com/%C3%A9A"),
        ("https://example.com/%zz", "https://example.com/%25zz"),
        ("https://example.com/a b", "https://example.com/a%20b"),
        ("https://example.com/a/%2E%2e/b", "https://example.com/b"),
        ("https://example.com/../../a", "https://example.com/a"),
        ("https://example.com/.well-known/x", "https://example.com/.well-known/x"),
        ("https://example.com/a?&&b=1&", "https://example.com/a?b=1"),
        ("https://example.com/a?UTM_Source=x&Fbclid=y", "https://example.com/a"),
        ("https://example.com/a?q=a+b&r=c%20d", "https://example.com/a?q=a+b&r=c%20d"),
        ("https://example.com/?p=12", "https://example.com/?p=12"),
        ("https://example.com/blog/?p=12", "https://example.com/blog?p=12"),
        ("https://example.com/#!/story/7", "https://example.com/#!/story/7"),
        ("https://example.com/#/story/7", "https://example.com/#/story/7"),
        ("https://example.com/#!", "https://example.com/"),
        ("https://example.com/a#:~:text=b", "https://example.com/a"),
        # AMP copies
        ("https://www-example-com.cdn.ampproject.org/c/s/www.example.com/amp/a", "https://example.com/amp/a"),
        ("https://www-example-com.cdn.ampproject.org/c/www.example.com/a", "https://example.com/a"),
        ("https://cdn.ampproject.org/v/s/example.com/a?amp_js_v=0.1&id=7", "https://example.com/a?id=7"),
        ("https://www.google.co.uk/amp/s/amp.example.com/a/", "https://example.com/a"),
        ("https://www.google.com/amp/s/x.cdn.ampproject.org/c/s/www.example.com/a", "https://example.com/a"),
        # … and what only looks like one
        ("https://x.cdn.ampproject.org/i/s/example.com/a.png", "https://x.cdn.ampproject.org/i/s/example.com/a.png"),
        ("https://x.cdn.ampproject.org/c/s/localhost/a", "https://x.cdn.ampproject.org/c/s/localhost/a"),
        ("https://google.com/amp/news.html", "https://google.com/amp/news.html"),
        (
            "https://notcdn.ampproject.org.example.com/c/s/a.com/b",
            "https://notcdn.ampproject.org.example.com/c/s/a.com/b",
        ),
        # not http at all
        ("ftp://example.com/a", "ftp://example.com/a"),
        ("example.com/a", "example.com/a"),
        ("https:///a", "https:///a"),
    ],
)
def test_a_url_gets_its_canonical_form(url, canonical):
    assert canonicalise(url) == canonical
    assert canonicalise(canonical) == canonical


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("https://www.youtube.com/watch?v=abc", "https://www.youtube.com/watch?v=ABC"),
        ("https://example.com/Story", "https://example.com/story"),
        ("https://example.com/story?id=1", "https://example.com/story?id=2"),
        ("https://example.com/?p=1", "https://example.com/"),
        ("https://example.com/?story=1", "https://example.com/?story=2"),
        ("https://example.com/?ref=1", "https://example.com/"),
        ("https://example.com/?source=a", "https://example.com/?source=b"),
        ("https://example.com/?a=1&a=2", "https://example.com/?a=2&a=1"),
        ("https://example.com/?a", "https://example.com/?a="),
        ("https://example.com/a?amp=3", "https://example.com/a"),
        ("https://example.com/a%2Fb", "https://example.com/a/b"),
        ("https://example.com/a;1", "https://example.com/a;2"),
        ("https://example.com/a//b", "https://example.com/a/b"),
        ("https://m.example.com/a", "https://example.com/a"),
        ("https://blog.example.com/a", "https://example.com/a"),
        ("http://example.com:8080/a", "http://example.com/a"),
        ("https://example.com/#/1", "https://example.com/#/2"),
        ("https://example.com/utm_source", "https://example.com/"),
        ("https://example.com/a?usqp=1", "https://example.com/a"),
        ("https://example.com/forum.php?mod=viewthread&tid=7", "https://example.com/forum.php?mod=redirect&tid=7"),
        ("https://example.com/forum.php?mod=guide", "https://example.com/forum.php"),
        ("https://example.com/a?mod=x&tid=7", "https://example.com/a?tid=7"),
        ("https://example.com/?mod=x", "https://example.com/"),
        *((f"https://example.com/a?{name}=1", "https://example.com/a") for name in NEVER_STRIPPED),
    ],
)
def test_pages_that_may_differ_stay_apart(one, other):
    assert canonicalise(one) != canonicalise(other)


def test_tracking_names_are_lower_case():
    assert all(name == name.lower() for name in (*TRACKING, *PREFIXES, *ALONE))
    assert not any(is_tracking(name) for name in (*NEVER_STRIPPED, *ALONE))


@pytest.mark.parametrize(
    "name",
    ["srsltid", "igsh", "xtor", "at_medium", "at_campaign", "cmpid", "ncid", "spm", "mod", "itm_source", "CMP",
     "ck_subscriber_id", "feedName", "feedType", "UTM_Source", "gad_source", "ref_src", "mibextid", "pk_campaign"],
)  # fmt: skip
def test_each_tracking_parameter_is_stripped_and_the_others_stay(name):
    assert canonicalise(f"https://example.com/a?{name}=x%20y") == "https://example.com/a"
    assert canonicalise(f"https://example.com/a.html?{name}=x&utm_id=1") == "https://example.com/a.html"
    if name.lower() not in ALONE:
        assert canonicalise(f"https://example.com/a?id=7&{name}=x") == "https://example.com/a?id=7"


_ANY = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
_PIECES = st.one_of(
    st.sampled_from(["http://", "HTTPS://", "www.", "amp.", "cdn.ampproject.org/c/s/", "google.com/amp/s/", "utm_a=1"]),
    st.sampled_from(
        ["example", ".com", ".co.uk", "xn--", "fbclid", "%2e", "%2F", "%25", "%4", "//", "..", "#!", ":80"]
    ),
    st.sampled_from(list("/.?&=#%1@:\\ \t\0[];ab")),
    st.sampled_from(list("éü。℀①ßİ\u200d")),
)
_URLS = st.one_of(
    st.builds("{}://{}".format, st.sampled_from(["http", "https", "HTTP"]), _ANY),
    st.builds("https://example.com{}".format, _ANY),
    st.lists(_PIECES, max_size=14).map("".join).map("https://{}".format),
    st.lists(_PIECES, max_size=14).map("".join).map("http://www.example.com/{}".format),
    _ANY,
)


@given(_URLS)
@example("https://é%41/%%341?%3D=%26#!%é%41")
@example("https://\ud800/\udfff")
@example("https://" + "www." * 400 + "com/")
@example("https://x.cdn.ampproject.org/c/s/" * 60 + "example.com/")
@example("https://x.cdn.ampproject.org" + "/c/s/x.cdn.ampproject.org" * 60 + "/c/s/example.com/a")
def test_canonical_form_is_stable(url):
    once = canonicalise(url)
    assert canonicalise(once) == once


@given(_URLS)
@example("http://[\x80")
def test_canonical_form_of_a_url_is_ascii_without_spaces_in_path(url):
    once = canonicalise(url)
    if once != url and once.startswith("http"):
        assert once.isascii()


@given(_ANY)
def test_registrable_domain_never_raises(text):
    domain = registrable_domain(text)
    assert domain is None or (domain == domain.lower() and domain.isascii() and "." in domain)


@pytest.mark.parametrize(
    ("given_", "domain"),
    [
        ("https://news.bbc.co.uk/a", "bbc.co.uk"),
        ("www.CBC.ca", "cbc.ca"),
        ("http://example.com:8080/", "example.com"),
        ("example.com:8080", "example.com"),
        ("//example.com/a", "example.com"),
        ("user@example.com", "example.com"),
        ("alice.github.io", "alice.github.io"),
        ("https://www.alice.github.io/x", "alice.github.io"),
        ("blogspot.com", "blogspot.com"),
        ("www.gov.uk", "www.gov.uk"),
        ("gov.uk", None),
        ("co.uk", None),
        ("com", None),
        ("localhost", None),
        ("192.0.2.1", None),
        ("https://[2001:db8::1]/a", None),
        ("paper.example.unheard-of", "example.unheard-of"),
        ("Bücher.example.com", "example.com"),
        ("münchen.de", "xn--mnchen-3ya.de"),
        ("Raleigh News & Observer", None),
        ("a b.com", None),
        ("", None),
        (".", None),
        ("..com", None),
    ],
)
def test_the_registrable_domain_of_a_host_is_found(given_, domain):
    assert registrable_domain(given_) == domain


def test_the_list_of_suffixes_is_the_bundled_one(monkeypatch):
    def refuse(*_args, **_kwargs):
        raise AssertionError("the network was asked")

    monkeypatch.setattr("socket.socket.connect", refuse)
    monkeypatch.setattr("socket.getaddrinfo", refuse)
    assert registrable_domain("https://never-asked-before.example.org/") == "example.org"


def test_identities_are_sixteen_bytes_and_kept_apart():
    hashes = {
        url_hash("https://example.com/"),
        document_hash("a", "https://example.com/"),
        article_hash_for_key("a", "https://example.com/"),
        document_hash("ab", "c"),
        document_hash("a", "bc"),
        document_hash("a\0" + "1", "c"),
    }
    assert len(hashes) == 6
    assert {len(one) for one in hashes} == {16}


def test_identities_are_the_same_in_every_process():
    assert url_hash("https://example.com/").hex() == "0f115db062b7c0dd030b16878c99dea5"
