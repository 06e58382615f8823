"""URLs are read from sitemaps, feeds and lines; hostile XML is refused and never expanded."""

import time

import pytest

from worker.queries.sources.url_lists import UnreadableList, read_urls

A, B = "https://paper.example/a?x=1&y=2", "https://paper.example/b"
ESCAPED = A.replace("&", "&amp;")
NEWS_SITEMAP = f"""<?xml version="1.0" encoding="UTF-8"?>
<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9" xmlns:news="http://www.google.com/schemas/sitemap-news/0.9"
        xmlns:image="http://www.google.com/schemas/sitemap-image/1.1">
 <url><loc> {ESCAPED} </loc><news:news><news:title>Harbour</news:title></news:news>
  <image:image><image:loc>https://paper.example/a.jpg</image:loc></image:image></url>
 <url><loc><![CDATA[{B}]]></loc></url>
</urlset>"""
RSS = f"""<rss version="2.0" xmlns:atom="http://www.w3.org/2005/Atom"><channel><link>https://paper.example/</link>
 <atom:link href="https://paper.example/rss" rel="self"/>
 <item><title>T</title><link>{ESCAPED}</link><guid>https://paper.example/?p=1</guid><atom:link href="https://x.example/"/></item>
 <item><guid isPermaLink="true">{B}</guid></item><item><guid isPermaLink="false">https://paper.example/no</guid></item>
</channel></rss>"""
ATOM = f"""<feed xmlns="http://www.w3.org/2005/Atom"><link href="https://paper.example/"/>
 <entry><link rel="enclosure" href="https://paper.example/a.mp3"/><link rel="alternate" href="{ESCAPED}"/></entry>
 <entry><link href="{B}"/></entry></feed>"""
RDF = f"""<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns="http://purl.org/rss/1.0/">
 <channel><link>https://paper.example/</link></channel><item><link>{ESCAPED}</link></item><item><link>{B}</link></item></rdf:RDF>"""
LINES = f"# a comment\n\n {A} \r\n{B}\n/relative\nftp://paper.example/x\n{B}\n"


@pytest.mark.parametrize("text", [NEWS_SITEMAP, RSS, ATOM, RDF, LINES], ids=["sitemap", "rss", "atom", "rdf", "lines"])
@pytest.mark.parametrize("start", [b"", b"\xef\xbb\xbf", b"\n\n"], ids=["plain", "byte order mark", "blank lines"])
def test_the_urls_of_a_list_are_read_in_their_order(text, start):
    if start == b"\xef\xbb\xbf" and text.startswith("<?xml"):
        start = b""
    assert read_urls(start + text.encode()).urls == [A, B]


def test_a_sitemap_in_utf_16_is_read():
    assert read_urls(NEWS_SITEMAP.replace("UTF-8", "UTF-16").encode("utf-16")).urls == [A, B]


BOMB = """<!DOCTYPE lolz [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]><urlset><url><loc>https://x.example/&b;</loc></url></urlset>"""
EXTERNAL = """<!DOCTYPE u [<!ENTITY e SYSTEM "file:///etc/passwd">]><urlset><url><loc>https://x.example/&e;</loc></url></urlset>"""


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (BOMB, "document type"),
        (EXTERNAL, "document type"),
        ("<!DOCTYPE html SYSTEM 'http://x.example/'><urlset/>", "document type"),
        ("<urlset><url><loc>https://x.example/&undeclared;</loc></url></urlset>", "not valid XML"),
        ("<urlset><url>", "not valid XML"),
        ("<a>" * 200 + "</a>" * 200, "nested"),
        ("<sitemapindex><sitemap><loc>https://x.example/s.xml</loc></sitemap></sitemapindex>", "index of sitemaps"),
        ("<?xml version='1.0' encoding='no-such'?><urlset/>", "not valid XML"),
        ("", "no URL"),
        ("robots.txt\nnothing", "no URL"),
        ("<urlset/>", "no URL"),
    ],
)
def test_what_is_no_list_is_refused_with_the_reason(text, why):
    with pytest.raises(UnreadableList, match=why):
        read_urls(text.encode())


@pytest.mark.parametrize("size", [0, 1, 7, 100, 333])
def test_any_beginning_of_a_list_is_read_or_refused(size):
    for text in (NEWS_SITEMAP, RSS, ATOM, LINES):
        try:
            assert set(read_urls(text.encode()[:size]).urls) <= {A, B, "https://paper.example/"}
        except UnreadableList:
            continue


def test_lines_that_are_no_url_are_counted():
    assert read_urls(f"{A}\n\n  {B}  \npaper.example/three\njavascript:x\n{A}\n".encode()) == ([A, B], 2)


@pytest.mark.parametrize("element", ["x", "loc", "link", "guid"])
def test_a_long_text_of_many_lines_takes_no_time(element):
    """Expat passes each line and each line break on its own: to join them one by one took 22 s for 1.6 MB."""
    lines = "aaaaaaaaa\n" * 100_000
    text = f"<rss><item><link>{A.partition('?')[0]}</link></item><item><{element}>{lines}</{element}></item></rss>"
    began = time.process_time()
    assert read_urls(text.encode()).urls == [A.partition("?")[0]]
    assert time.process_time() - began < 1
