"""Enriching a whole document: where each value is stored, and that none is lost."""

from datetime import UTC, datetime

import pytest

from schemas.article import Article
from worker.enrichment.document_json import document_from_json, document_to_json
from worker.enrichment.enriched_document import changed_fields
from worker.enrichment.enricher import enrich
from worker.enrichment.heat import NEVER_OUTRANKED
from worker.enrichment.urls.canonical_urls import article_hash_for_key, canonicalise, url_hash


def copy_of(document, body="Text.\n", source="crawler", key="stories/1.md"):
    return enrich(Article.model_validate(document), body, source=source, key=key)


def bridge(**changes):
    """A syndicated news article in the form that current crawlers send."""
    document = {
        "category": "news",
        "title": "Bridge opens &amp; closes | Hill News &amp; Post",
        "excerpt": "  It opened.\n Then it closed. ",
        "publishedDateTime": "2020-05-29T22:57:00Z",
        "webUrl": "https://www.hillpost.com/news/article1.html?utm_source=feed",
        "ampWebUrl": "https://amp.hillpost.com/news/article1.html",
        "cdnAmpWebUrl": "https://amp-hillpost-com.cdn.ampproject.org/c/s/amp.hillpost.com/news/article1.html",
        "type": "article",
        "quality": "34",
        "heat": "-1",
        "published": "false",
        "provider": {"name": "Hill News & Post", "domain": "hillpost.com"},
        "topics": ["Bridges", "Traffic", "bridges"],
        "images": [{"url": "https://cdn.example.com/1.jpg", "width": "1280", "height": "720", "isCached": "true"}],
        "related": [
            {
                "title": "Bridge opens - Harbour Times",
                "excerpt": "It opened.",
                "publishedDateTime": "2020-05-30T07:00:00Z",
                "webUrl": "https://www.harbourtimes.com/bridge",
                "ampWebUrl": "https://www.harbourtimes.com/amp/bridge",
                "type": "article",
                "quality": "61",
                "provider": {"name": "Harbour Times", "domain": "harbourtimes.com"},
                "images": [{"url": "https://cdn.example.com/2.png", "width": "375", "height": "211"}],
            },
        ],
        "secured": "c2VjcmV0;aXY=",
    }
    return {**document, **changes}


def mention(url, **more):
    return {"title": "Bridge opens", "webUrl": url, "type": "article", **more}


def test_a_current_news_article_is_enriched():
    copy = copy_of(bridge())

    assert copy.canonical_url == "https://hillpost.com/news/article1.html"
    assert copy.url_hash == url_hash(copy.canonical_url)
    assert (copy.kind, copy.category, copy.title) == ("article", "news", "Bridge opens & closes")
    assert (copy.excerpt, copy.body) == ("It opened. Then it closed.", "Text.\n")
    assert copy.published_at == datetime(2020, 5, 29, 22, 57, tzinfo=UTC)
    assert (copy.provider.domain, copy.provider.name) == ("hillpost.com", "Hill News & Post")
    assert (copy.quality, copy.reported_heat, copy.reported_published) == (34, -1, False)
    assert copy.topics == ["Bridges", "Traffic"]
    assert [(one.width, one.is_cached) for one in copy.images] == [(1280, True)]
    assert copy.secured == "c2VjcmV0;aXY="
    assert [one.claim for one in copy.claims] == ["web", "amp", "cdn_amp"]
    assert copy.claims[0].url.endswith("?utm_source=feed")
    assert {one.url_hash for one in copy.claims} == {copy.url_hash}
    assert copy.extra == {}

    [harbour] = copy.related
    assert (harbour.url, harbour.title) == ("https://harbourtimes.com/bridge", "Bridge opens")
    assert (harbour.quality, harbour.provider.domain) == (61, "harbourtimes.com")
    assert harbour.images[0].width == 375
    assert harbour.extra == {
        "webUrl": "https://www.harbourtimes.com/bridge",
        "ampWebUrl": "https://www.harbourtimes.com/amp/bridge",
    }


def test_a_document_of_2019_is_enriched_to_the_same():
    today = copy_of(bridge())
    document = bridge()
    for old, new in [
        ("sourceUrl", "webUrl"),
        ("abstract", "excerpt"),
        ("ampUrl", "ampWebUrl"),
        ("cdnAmpUrl", "cdnAmpWebUrl"),
    ]:
        document[old] = document.pop(new)
    document["provider"]["id"] = document["provider"].pop("domain")

    older = copy_of(document)

    assert older.url_hash == today.url_hash
    assert changed_fields(today, older) == ["webUrl", "sourceUrl"]


def test_a_provider_whose_name_is_an_address_has_no_name():
    copy = copy_of(bridge(provider={"name": "https://www.hillpost.com", "domain": "hillpost.com"}))
    assert (copy.provider.domain, copy.provider.name) == ("hillpost.com", None)
    assert copy.extra["provider"] == {"name": "https://www.hillpost.com"}


def test_score_is_the_heat_that_a_document_of_2019_reports():
    copy = copy_of(
        bridge(heat=None, quality="40", score="45", related=[mention("https://b.com/2", quality="90", score="99")])
    )
    assert (copy.quality, copy.reported_heat, copy.outranked_by) == (40, 45, NEVER_OUTRANKED)
    assert copy.related[0].extra["score"] == "99"
    assert copy_of({"title": "T", "webUrl": "https://a.example/", "score": "45"}).quality is None
    both = copy_of(bridge(heat="-1", score="45"))
    assert (both.reported_heat, both.extra["score"], both.outranked_by) == (-1, 45, 0)


@pytest.mark.parametrize("name", ["url", "webUrl", "sourceUrl", "originalUrl", "ampWebUrl", "ampUrl", "cdnAmpUrl"])
def test_an_entry_of_related_with_any_url_is_linked(name):
    copy = copy_of(bridge(related=[{"title": "T", name: "https://www.b.example/2"}]))
    assert [one.url for one in copy.related] == ["https://b.example/2"]
    assert copy.related[0].extra


def test_the_url_of_an_entry_yields_to_the_newer_names():
    entry = {"title": "T", "url": "https://b.example/1", "webUrl": "https://b.example/2"}
    assert copy_of(bridge(related=[entry])).related[0].url == "https://b.example/2"


def test_an_image_on_the_senders_site_is_kept_as_written_without_a_url():
    images = [{"url": "/assets/1.jpg", "width": "5", "odd": "x"}, {"url": "//cdn.example/2.jpg"}]
    copy = copy_of(bridge(images=images, related=[mention("https://b.com/2", images=[{"url": "/b.jpg"}])]))
    assert [image.url for image in copy.images] == ["https://cdn.example/2.jpg"]
    assert copy.extra["images"] == {"0": {"url": "/assets/1.jpg", "width": 5, "odd": "x"}}
    assert (copy.related[0].images, copy.related[0].extra["images"]) == ([], {"0": {"url": "/b.jpg"}})


@pytest.mark.parametrize(
    ("urls", "canonical"),
    [
        ({"sourceUrl": "http://example.com/s", "originalUrl": "https://example.com/o"}, "https://example.com/s"),
        ({"originalUrl": "https://example.com/o"}, "https://example.com/o"),
        ({"ampUrl": "https://amp.example.com/a"}, "https://example.com/a"),
        ({}, None),
    ],
)
def test_the_canonical_url_is_chosen_among_the_urls(urls, canonical):
    copy = copy_of({"title": "T", **urls}, source="s", key="k")
    assert copy.canonical_url == canonical
    assert copy.url_hash == (url_hash(canonical) if canonical else article_hash_for_key("s", "k"))


def test_without_url_and_key_there_is_no_identity():
    with pytest.raises(ValueError, match="URL or a key"):
        copy_of({"title": "T"}, key=None)


def test_self_links_and_repeats_are_dropped_and_order_is_kept():
    document = bridge(
        related=[
            mention("https://b.com/2"),
            mention("http://hillpost.com/news/article1.html/"),  # the article itself, spelt differently
            mention("https://a.com/1"),
            mention("https://www.b.com/2#top"),  # the first entry again
            mention("https://other.com/original"),  # the article itself, by an alias
        ],
        originalUrl="https://other.com/original",
    )
    assert [one.url for one in copy_of(document).related] == ["https://b.com/2", "https://a.com/1"]


def test_an_entry_without_url_is_kept_as_written():
    entry = {"title": "No address", "quality": "7", "publishedDateTime": "2020-05-30T07:00:00Z", "mood": "glad"}
    copy = copy_of(bridge(related=[entry]))
    assert copy.related == []
    assert copy.extra["relatedWithoutUrl"] == [entry]


def test_an_entry_with_only_an_amp_url_is_identified_by_it():
    entry = {"title": "T", "ampUrl": "https://www.example.com/amp/a"}
    assert [one.url for one in copy_of(bridge(related=[entry])).related] == ["https://example.com/amp/a"]


def test_fields_without_a_column_are_stored_in_extra():
    document = bridge(
        name="B",
        locale="en-GB",
        length="PT10M",
        tags=["a"],
        provider={"name": "Hill", "domain": "news.hillpost.com", "authors": [{"name": "Ann"}]},
        images=[{"url": "https://e.com/1"}, {"url": "https://e.com/2", "alt": "A bridge"}, {"url": "https://e.com/1"}],
    )
    copy = copy_of(document)
    assert copy.language == "en"
    assert [one.url for one in copy.images] == ["https://e.com/1", "https://e.com/2"]
    assert copy.extra == {
        "name": "B",
        "locale": "en-GB",
        "tags": ["a"],
        "provider": {"domain": "news.hillpost.com", "authors": [{"name": "Ann"}]},
        "images": {"1": {"alt": "A bridge"}},
    }


def test_an_unknown_field_is_never_overwritten_by_ours():
    copy = copy_of(bridge(relatedWithoutUrl="theirs", related=[{"title": "No address"}]))
    assert copy.extra["relatedWithoutUrl"] == "theirs"
    assert copy.extra["relatedWithoutUrl_"] == [{"title": "No address"}]


@pytest.mark.parametrize(
    ("fields", "title", "extra"),
    [
        ({"title": "T", "name": "N"}, "T", {"name": "N"}),
        ({"name": "N"}, "N", {}),
        ({"title": " ", "name": "N"}, "N", {}),
        ({"sponsor": {"name": "S &amp; Sons"}}, "S & Sons", {"sponsor": {"name": "S &amp; Sons"}}),
        ({"sponsor": "S"}, None, {"sponsor": "S"}),
        ({}, None, {}),
    ],
)
def test_title_is_title_or_name_or_sponsor(fields, title, extra):
    copy = copy_of(fields)
    assert (copy.title, copy.extra) == (title, extra)


@pytest.mark.parametrize(
    ("stated", "expected", "rest"),
    [
        ({"name": "Hill", "domain": "WWW.HillPost.com"}, ("hillpost.com", "Hill"), {"domain": "WWW.HillPost.com"}),
        ({"name": "Hill", "domain": "n/a"}, ("example.com", "Hill"), {"domain": "n/a"}),
        ({"name": "Hill"}, ("example.com", "Hill"), None),
        (None, ("example.com", None), None),
    ],
)
def test_the_provider_is_the_stated_domain_else_that_of_the_url(stated, expected, rest):
    copy = copy_of({"title": "T", "webUrl": "https://www.example.com/a", "provider": stated})
    assert (copy.provider.domain, copy.provider.name) == expected
    assert copy.extra.get("provider") == rest


def test_a_provider_without_domain_and_url_keeps_its_name():
    copy = copy_of({"title": "T", "provider": {"name": "Hill"}})
    assert copy.provider is None
    assert copy.extra == {"provider": {"name": "Hill"}}


def test_times_become_utc():
    copy = copy_of(bridge(publishedDateTime="2020-05-29T22:57:00+02:00"))
    assert copy.published_at == datetime(2020, 5, 29, 20, 57, tzinfo=UTC)
    assert copy.published_at.tzinfo is UTC


def test_secured_is_no_part_of_the_content():
    one, other = copy_of(bridge()), copy_of(bridge(secured="YQ==;Yg=="))
    assert one.content_hash == other.content_hash
    assert "c2VjcmV0" not in document_to_json(one)
    assert changed_fields(one, other) == ["secured"]


def test_the_order_of_fields_is_no_part_of_the_content():
    document = bridge(length="PT1M", odd={"a": "1", "b": "2"})
    turned = dict(reversed(document.items())) | {"odd": {"b": "2", "a": "1"}}
    assert copy_of(document).content_hash == copy_of(turned).content_hash


@pytest.mark.parametrize(
    ("entries", "place"),
    [
        ([], None),
        ([mention("https://b.example/2", quality="34")], None),
        ([mention("https://b.example/2"), mention("https://b.example/3", quality="35")], 1),
        ([mention("https://b.example/2"), {"title": "No URL", "quality": "35"}], -1),
        ([mention("https://b.example/2"), mention("https://hillpost.com/news/article1.html", quality="35")], -1),
        (
            [
                mention("https://b.example/2"),
                mention("https://b.example/3"),
                mention("https://b.example/2", quality="35"),
            ],
            0,
        ),
    ],
)
def test_the_leading_entry_is_identified_by_its_place(entries, place):
    assert copy_of(bridge(related=entries)).outranked_by == place


@pytest.mark.parametrize(
    ("change", "names"),
    [
        ({}, []),
        ({"title": "Other"}, ["title"]),
        ({"excerpt": "Other"}, ["excerpt"]),
        ({"heat": "5", "published": "true"}, ["heat", "published"]),
        ({"topics": ["Bridges"]}, ["topics"]),
        ({"related": []}, ["related", "outrankedBy"]),
        ({"quality": "61"}, ["quality", "outrankedBy"]),
        ({"images": []}, ["images"]),
        ({"webUrl": "https://hillpost.com/2"}, ["webUrl"]),
        ({"originalUrl": "https://hillpost.com/2"}, ["originalUrl"]),
        ({"publishedDateTime": "2020-05-29T22:58:00Z"}, ["publishedDateTime"]),
        ({"length": "PT1M"}, ["length"]),
        ({"tags": ["A"]}, ["extra.tags"]),
        ({"type": "video"}, ["type"]),
    ],
)
def test_changed_fields_have_the_names_of_documents(change, names):
    old, new = copy_of(bridge()), copy_of(bridge(**change))
    assert changed_fields(old, new) == names
    assert (old.content_hash != new.content_hash) == bool(names)


def test_a_change_of_the_body_is_named():
    assert changed_fields(copy_of(bridge()), copy_of(bridge(), body="Other.")) == ["body"]


def test_an_enriched_document_of_real_shape_round_trips():
    copy = copy_of(bridge(length="PT1M", related=[mention("https://a.com/"), {"title": "No address"}]))
    assert document_from_json(document_to_json(copy), copy.secured) == copy


def test_the_content_hash_is_the_same_in_every_process():
    copy = copy_of({"title": "T", "webUrl": canonicalise("https://example.com/a")}, body="")
    assert copy.content_hash.hex() == "b1b43464c0bcc7b0399ef81c969cd0fa"
