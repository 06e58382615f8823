"""Any text in the store, in Redis or in a request: no page fails, takes long, or renders the text as HTML."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import time
from collections import Counter
from html.parser import HTMLParser
from itertools import cycle
from urllib.parse import quote_from_bytes, unquote, urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from starlette.routing import Route

from tests.integration.console.conftest import broken
from tests.integration.store.store_driver import work
from tests.support.servers import ROOT
from worker.activity import outcome_feed
from worker.activity.heartbeats import WorkerState
from worker.activity.heartbeats import send as beat
from worker.activity.minute_counters import Counts, MinuteCounters
from worker.console import app as console
from worker.console.access.sessions import COOKIE
from worker.console.context import ConsoleContext
from worker.console.pages.dead.lists import NAMES
from worker.console.rendering import environment
from worker.queue.keys import OUTCOME_FEED, PAUSED_LANES, paused_sources
from worker.queue.lease_queue import Claimed, LeaseQueue
from worker.queue.pauses import lane_pauses
from worker.settings import Settings
from worker.store import dead_letters, tables
from worker.store.engine import make_engine

MARK = "zqxvzqxv"
NASTY = [
    "[/zqxvzqxv]", "<zqxvzqxv>", "<script>zqxvzqxv()</script>", "\"><zqxvzqxv onload='zqxvzqxv'>", "' zqxvzqxv=1 onfocus=zqxvzqxv ", "--><zqxvzqxv><!--zqxvzqxv", "</title><zqxvzqxv>",
    "</textarea><zqxvzqxv>", "]]><zqxvzqxv>", "{{ zqxvzqxv }}{% zqxvzqxv %}", "javascript:zqxvzqxv", "https://zqxvzqxv.example/\"onload=zqxvzqxv", "//zqxvzqxv.example/",
    "\x00", "a\x00zqxvzqxv", "\ud800", "\udce9zqxvzqxv", "\u202ezqxvzqxv", "\x9b2Jzqxvzqxv", "\r\nset-cookie: zqxvzqxv=1", "\u2028", "\ufdd0",
    "²", "²-1", "18446744073709551616-1", "99999999999999999999-0", "9" * 19, "-1", "9" * 5000, "1e999", "nan", "inf", "0001-01-01T00:00:00~1",
    "9999-12-31T23:59:59-14:00~1", "%00", "%", "%ff", "../../etc/zqxvzqxv", "..%2f", "a\u0301" * 50, "https://[", "https://[::1",
    "secured: " * 50, "⟦hidden 1 aaaa⟧", "x" * 100_000, "\\" * 5000, "'; DROP TABLE articles; --",
]  # fmt: skip
SECONDS = 5.0
"""The limit for a request, generous for a busy machine; most take a few milliseconds."""
TOKEN = "a-token-of-some-length"
_PARAMETER = re.compile(r"""(?:query|form_value|form\.get)\("(\w+)"|\bname="(\w+)\"""")


def parameters():
    """Return the names of all parameters that pages read or forms send."""
    sources = [
        file.read_text("utf-8")
        for pattern in ("*.py", "pages/**/*.py", "templates/*")
        for file in (ROOT / "worker/console").glob(pattern)
    ]
    found = {name for source in sources for pair in _PARAMETER.findall(source) for name in pair if name}
    return sorted({*found, *NAMES, "url"} - {"viewport", "color-scheme", "htmx-config"})


class Reader(HTMLParser):
    """Parses a page; collects what a planted text must not become."""

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.faults = []

    def handle_starttag(self, tag, attrs):
        self._look(tag, "a tag")
        if len({name for name, _ in attrs}) != len(attrs):
            self.faults.append(f"an attribute twice in {self.get_starttag_text()}")
        for name, value in attrs:
            self._look(name, "an attribute's name")
            if name.startswith("on") or name == "style":
                self.faults.append(f"{name}={value}")
            is_address = name in ("href", "src", "action", "formaction", "hx-get", "hx-post")
            if is_address and not re.match(r"/(?![/\\])|#|https?://" if name == "href" else r"/(?![/\\])", value or ""):
                self.faults.append(f"{name}={value}")
        if tag in ("script", "style") and not dict(attrs).get("src", "").startswith("/static/"):
            self.faults.append(f"<{tag}> of its own")

    handle_startendtag = handle_starttag

    def handle_endtag(self, tag):
        self._look(tag, "a tag")

    def handle_comment(self, data):
        self._look(data, "a comment")

    def handle_decl(self, decl):
        self._look(decl, "a declaration")

    unknown_decl = handle_pi = handle_decl

    def _look(self, text, what):
        if MARK in text.lower():
            self.faults.append(f"the text became {what}: {text[:80]}")


def as_bytes(text):
    return text.encode("utf-8", "surrogatepass")


class Caller:
    """Calls the application as a server does that passes every byte through."""

    def __init__(self, app, runner):
        self.app = app
        self._runner = runner

    def ask(self, method, path, query=b"", form=b"", headers=()):
        """Return (status, headers, body). `path` is the raw request target; asserts what every answer must fulfil."""
        began = time.monotonic()
        status, answered, body = self._runner.run(asyncio.wait_for(self._ask(method, path, query, form, headers), 60))
        seen = (method, path[:200], query[:200], form[:300], headers)
        assert status < 500, (seen, status, body[:3000])
        assert time.monotonic() - began < SECONDS, seen
        for name, value in answered:
            assert not {13, 10, 0} & {*name, *value}, (seen, name, value)
            assert name != b"set-cookie" or MARK.encode() not in value, (seen, value)
            assert name != b"location" or re.match(rb"/(?![/\\])", value), (seen, value)
        if dict(answered).get(b"content-type", b"").startswith(b"text/html"):
            reader = Reader()
            reader.feed(body.decode("utf-8"))
            reader.close()
            assert reader.faults == [], (seen, reader.faults)
        return status, answered, body

    async def _ask(self, method, path, query, form, headers):
        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "http",
            "path": unquote(path.decode("ascii")), "raw_path": path, "query_string": query, "root_path": "",
            "headers": [(b"host", b"localhost:8600"), *headers], "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 8600),
        }  # fmt: skip
        requests = [{"type": "http.request", "body": form, "more_body": False}]
        sent = []

        async def receive():
            return requests.pop() if requests else {"type": "http.disconnect"}

        async def send(message):
            sent.append(message)

        await self.app(scope, receive, send)
        return sent[0]["status"], sent[0]["headers"], b"".join(message.get("body", b"") for message in sent[1:])


class Site:
    """The console on a store and a Valkey that contain planted texts."""

    def __init__(self, url, server, folder):
        self.config = Settings(database_url=url, redis_url=server.url, data_dir=folder)
        self.engine = make_engine(self.config)
        self.client = server.client()
        self.runner = asyncio.Runner()
        self.console_context = ConsoleContext(self.config, client=self.client, engine=self.engine, timeout=20)
        self.guarded_console_context = ConsoleContext(
            self.config, token=TOKEN, client=self.client, engine=self.engine, timeout=20
        )
        self.open = Caller(console.build(self.console_context, names=frozenset({"localhost"})), self.runner)
        self.guarded = Caller(console.build(self.guarded_console_context, names=None), self.runner)
        self._number = 0

    def close(self):
        self.runner.close()
        self.console_context.close()

    def plant(self, source, key, title, reason, url):
        """Fill everything that pages show with five texts; returns the values that address the planted things."""
        client, number = self.client, self._next()
        client.flushall()
        for lane in ("documents", "copydesk:internal"):
            LeaseQueue(client, lane).ensure()
        raw = as_bytes(
            f"---\ntitle: {json.dumps(title)}\nexcerpt: {json.dumps(reason)}\nwebUrl: https://zqxvzqxv.example/{number}\n"
            f"category: {json.dumps(key)}\nprovider: {{name: {json.dumps(source)}}}\ntopics: [{json.dumps(key)}]\n"
            f"related: [{{title: {json.dumps(title)}, webUrl: {json.dumps(url)}}}, {{title: Two, webUrl: 'https://zqxvzqxv.example/{number}b'}}]\n"
            f"images: [{{url: {json.dumps(url)}, title: {json.dumps(title)}}}]\n---\n{reason}\n"
        )
        bad = as_bytes(f"---\ntitle: {title}: {title}: x\nwebUrl: {url}\nsecured: {key}\n---\n{reason}\n")
        fields = {b"source": as_bytes(source), b"key": as_bytes(f"{key}{number}")}
        good = Claimed(f"{1_700_000_000_000 + number}-0", 0, 100, {**fields, b"raw": raw}, truncated=False)
        work(self.engine, "documents", [good])
        for one in (bad, b"\0" + as_bytes(title), b"---\nurl: https://a.example/\n---\n"):
            n = self._next()
            fields[b"key"] = as_bytes(f"{key}{n}")
            work(
                self.engine,
                "documents",
                [Claimed(f"{1_700_000_000_000 + n}-0", 0, 100, {**fields, b"raw": one}, truncated=False)],
            )
        work(self.engine, "documents", [broken(self._next(), source="plain")])
        self.console_context.sources.clear()
        self.console_context.sources.update({hours: self.console_context._source_stats(hours) for hours in (24, 168)})
        with self.engine.begin() as connection:
            dead_letter_ids = dead_letters.find(connection, dead_letters.Filter(source="plain"))
            article = connection.scalar(
                select(tables.articles.c.id).order_by(tables.articles.c.id.desc()).where(~tables.articles.c.is_stub)
            )
            for dead_letter_id in dead_letters.find(connection, dead_letters.Filter())[-4:]:
                dead_letters.record(
                    connection, dead_letter_id.id, "failed", _stored(source)[:100], reason=_stored(reason)[:500]
                )
        text = as_bytes(reason).decode("utf-8", "replace")
        lane_pauses.pause(client, "documents", lane_pauses.Pause(text, 1.0, text))
        client.hset(
            PAUSED_LANES,
            as_bytes(key)[:5000],
            json.dumps({"who": title, "at": 1e300, "why": reason, "by": "operator"}),
        )
        waiting = client.xadd("documents", {"raw": "x", "source": as_bytes(source)})
        client.xreadgroup("copydesk", b"paused: " + as_bytes(source), {"documents": ">"}, count=1)
        assert waiting
        client.hset(
            paused_sources("documents"), as_bytes(source)[:5000], json.dumps({"who": title, "at": 1e300, "why": reason})
        )
        client.hset(PAUSED_LANES, "odd", json.dumps({"who": 5, "at": "zqxvzqxv", "why": None}))
        codes = [text[:40]]
        with client.pipeline(transaction=False) as pipe:
            outcome_feed.publish(
                pipe,
                lane=text,
                worker=text,
                rows=[("1-0", text, "stored", text, url, codes), (text, text, text, text, text, codes)],
            )
            pipe.execute()
        for at in ("nan", "inf", "1e300", "-1e18"):
            client.xadd(
                OUTCOME_FEED,
                {
                    "at": at,
                    "lane": "documents",
                    "worker": "w",
                    "told": json.dumps([["1-0", "s", "stored", None, None, []]]),
                },
            )
        counts = Counts("documents", Counter({(text, "stored"): 1, (text, "rejected"): 1}), Counter({(text, text): 1}))
        MinuteCounters(client).add(counts)
        beat(
            client,
            WorkerState(
                name=text[:200] or "w",
                host=text,
                pid=1,
                version=text,
                started=1.0,
                lanes=(text,),
                concurrency=1,
                state=text,
                reason=text,
            ),
        )
        client.xadd(
            "documents", {"raw": raw, "source": as_bytes(source), "key": as_bytes(key)}, id="18446744073709551000-1"
        )
        for cache in (self.console_context.redis_snapshot, self.console_context.store_status):
            cache.forget()
        with contextlib.suppress(console.HttpError):
            self.places = {
                "number": str(article),
                "letter": str(dead_letter_ids[-1].id),
                "lane": "documents",
                "entry": "18446744073709551000-1",
                "name": "console.css",
                "rest": "nowhere",
            }
        self.version = dead_letter_ids[-1].raw_sha256.hex()
        return self.places

    def _next(self):
        self._number += 1
        return self._number


def _stored(text):
    return text.replace("\0", "").encode("utf-8", "replace").decode()


def routes(app):
    """Return (method, address with `{name}` for each part) of every route of the application."""
    for route in app.app.routes:
        assert isinstance(route, Route), route
        for method in sorted(route.methods - {"HEAD"}):
            yield method, re.sub(r"{(\w+):\w+}", r"{\1}", route.path)


def address(template, places, part=None):
    """Fill `template` with the planted values, or with `part` in each place."""
    numbers = {"number": places["letter"] if template.startswith("/dead") else places["number"]}
    values = {"job": "none", **places, **numbers}
    return re.sub(
        rb"{(\w+)}",
        lambda name: quote_from_bytes(as_bytes(values[name[1].decode()] if part is None else part)).encode(),
        template.encode(),
    )


def send(caller, console_context, method, path, values, *, cookie=b"", headers=()):
    """Send a request with `values` in its query, and for an action in its form, from a page of a new session."""
    session = console_context.sessions.new()
    sent = [(b"cookie", f"{COOKIE}={session.id}; ".encode() + cookie), *headers]
    query = urlencode(values, errors="surrogatepass").encode()
    if method == "GET":
        return caller.ask("GET", path, query, headers=sent)
    form = urlencode({"csrf": session.csrf, **values}, errors="surrogatepass").encode()
    kind = (b"content-type", b"application/x-www-form-urlencoded")
    return caller.ask(method, path, b"", form, headers=[kind, *sent])


def valid_form(site):
    return {
        "version": site.version,
        "text": "---\ntitle: x\n",
        "count": "1",
        "code": "no_title",
        "reason": "why",
        "theme": "dark",
        "next": "/",
    }


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.long)])
def site(request, valkey, tmp_path_factory, migrated_sqlite):
    folder = tmp_path_factory.mktemp("data")
    with contextlib.ExitStack() as stack:
        if request.param == "postgresql":
            url = stack.enter_context(request.getfixturevalue("postgres").migrated_database())
        else:
            url = migrated_sqlite(folder / "store.db")
        site = Site(url, valkey, folder)
        stack.callback(site.close)
        yield site


@pytest.fixture(autouse=True)
def nothing_is_logged_as_a_bug(monkeypatch):
    """Fail if the log contains a page that failed."""
    failed = []
    monkeypatch.setattr(console.log, "exception", lambda event, **fields: failed.append((event, fields)))
    yield
    assert failed == []


PLANTED = [
    "<zqxvzqxv>\"'><zqxvzqxv onload=zqxvzqxv>&lt;",
    "</textarea></title><script>zqxvzqxv()</script>",
    "\u202e\x9b2J\ud800zqxvzqxv\x00",
    "javascript:zqxvzqxv",
    "[/zqxvzqxv]" * 800,
]


@pytest.mark.parametrize("text", PLANTED)
def test_pages_show_any_text_as_text(site, text):
    places = site.plant(*[text] * 5)
    for method, template in routes(site.open.app):
        if method == "GET":
            send(site.open, site.console_context, method, address(template, places), {})
    for value in (text[:200], "https://zqxvzqxv.example/1", "1700000000001-0", "18446744073709551000-1"):
        send(site.open, site.console_context, "GET", b"/search", {"q": value})


def test_no_text_in_a_request_makes_a_page_fail(site):
    """Each route with each parameter, and with texts as parts of its address; the text in each place depends on the
    route.
    """
    places = site.plant(*["zqxvzqxv"] * 5)
    texts, parts = cycle(NASTY), cycle(NASTY)
    names = parameters()
    assert {"q", "after", "before", "csrf", "token", "reason", "topic", "outcome", *NAMES} <= {*names}
    groups = [names[start : start + 5] for start in range(0, len(names), 5)]
    for method, template in routes(site.open.app):
        valid = valid_form(site) if method == "POST" else {}
        for group in groups:
            send(
                site.open,
                site.console_context,
                method,
                address(template, places),
                {**valid, **dict(zip(group, texts, strict=False))},
            )
        for _ in range(10 if "{" in template else 0):
            send(site.open, site.console_context, method, address(template, places, next(parts)), valid)
        send(
            site.guarded,
            site.guarded_console_context,
            method,
            address(template, places, next(parts)),
            {**valid, **dict(zip(names, texts, strict=False))},
        )


def test_any_text_can_be_searched_and_sent(site):
    places = site.plant(*["zqxvzqxv"] * 5)
    check = address("/dead/{number}/check", places)
    for text in NASTY:
        for path, names in (
            (b"/search", ["q"]),
            (b"/dead/letters", ["after", *NAMES]),
            (b"/stories", ["topic", "before"]),
        ):
            send(site.open, site.console_context, "GET", path, dict.fromkeys(names, text))
        send(site.open, site.console_context, "POST", check, {**valid_form(site), "text": text})


HEADERS = [b"cookie", b"hx-request", b"content-type", b"content-length", b"origin", b"host", b"referer", b"if-none-match", b"sec-fetch-site",
           b"accept-encoding", b"x-forwarded-for"]  # fmt: skip
COOKIES = [
    b'copydesk_session="' + b"\\" * 60_000,
    b"copydesk_theme=\xff",
    b"a=b;" * 10_000,
    b"copydesk_session=\xe9",
    b"=;=;",
    b'copydesk_theme="><zqxvzqxv>',
]


def test_no_header_makes_a_page_fail(site):
    site.plant(*["zqxvzqxv"] * 5)
    pairs = [
        *zip(cycle(HEADERS), [as_bytes(text)[:60_000] for text in NASTY * 3]),
        *((b"cookie", value) for value in COOKIES),
    ]
    for pair in pairs:
        for method, path in (("GET", b"/search"), ("GET", b"/static/console.css"), ("POST", b"/theme")):
            site.open.ask(method, path, form=b"theme=dark", headers=[pair])


TEXT = st.one_of(st.sampled_from(NASTY), st.text(max_size=60), st.text("<>\"'&/=-!zqxvzqxv {}%\\\n\x00", max_size=60))


@pytest.mark.long
@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data(), texts=st.tuples(TEXT, TEXT, TEXT, TEXT, TEXT))
def test_no_page_fails_whatever_the_store_and_the_request_contain(site, data, texts):
    places = site.plant(*texts)
    names = parameters()
    for method, template in routes(site.open.app):
        part = data.draw(st.none() | TEXT, label=f"part of {template}")
        values = data.draw(
            st.dictionaries(st.sampled_from(names), TEXT, max_size=4), label=f"values of {method} {template}"
        )
        headers = data.draw(
            st.dictionaries(
                st.sampled_from([b"hx-request", b"origin", b"if-none-match"]), TEXT.map(as_bytes), max_size=1
            )
        )
        theme = data.draw(TEXT.map(as_bytes))
        valid = valid_form(site) if method == "POST" else {}
        for caller, console_context in (
            (site.open, site.console_context),
            (site.guarded, site.guarded_console_context),
        ):
            send(
                caller,
                console_context,
                method,
                address(template, places, part),
                {**valid, **values},
                cookie=b"copydesk_theme=" + theme,
                headers=list(headers.items()),
            )


def test_the_reader_of_this_test_finds_hostile_html():
    for page in (
        "<zqxvzqxv>",
        "<a zqxvzqxv>",
        "<!--zqxvzqxv-->",
        "<a href='javascript:x'>",
        "<a onclick=x>",
        "<script>1</script>",
        "<a hx-get='//x/'>",
        "<!zqxvzqxv>",
        "<?zqxvzqxv>",
        "</zqxvzqxv>",
    ):
        reader = Reader()
        reader.feed(page)
        reader.close()
        assert reader.faults, page
    assert environment.autoescape is True
