"""Any text as source, key, title, reason, pause, URL or argument: no command ends in a traceback or interprets it."""

from __future__ import annotations

import contextlib
import io
import json
import re
import unicodedata

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.integration.store.store_driver import work
from worker.activity import outcome_feed
from worker.cli import app
from worker.errors import Exit
from worker.queue.keys import PAUSED_LANES, paused_sources
from worker.queue.lease_queue import Claimed, LeaseQueue
from worker.settings import INTERNAL_LANE, Settings
from worker.store import dead_letters
from worker.store.engine import make_engine

NASTY = ["[/x]", "[bold red]", "[link=file:///etc]x[/link]", ":smile:", "\x1b[2J\x1b]0;title\x07", "\x9b2J", "\u202eexe.txt", "\u2028", "\u200f\u2066",
         "\U000e0041", "\ufeff", "²", "%s %d {0} {x!r}", "%00", "'; DROP TABLE articles; --", "a\u0301" * 50, "x" * 3000, "⟦hidden 1 aaaa⟧", "\\", "中文"]  # fmt: skip
TEXT = st.one_of(st.sampled_from(NASTY), st.text(max_size=60))
READING = [
    ["status"], ["status", "--json"], ["sources"], ["sources", "--json"], ["stories"], ["stories", "--json"], ["similar", "--all"],
    ["audit"], ["audit", "--json"], ["health"], ["health", "--json"], ["dead", "list"], ["dead", "list", "--json"], ["dead", "show", "1"],
    ["dead", "show", "1", "--json"], ["dead", "replay"], ["lane", "list"], ["lane", "list", "--json"], ["metrics", "--once"],
    ["tail", "--seconds", "0.05"], ["tail", "--seconds", "0.05", "--json"], ["db", "check"], ["db", "check", "--json"],
]  # fmt: skip
"""Every command that shows text of others."""
OF_TEXT = [
    ["explain"], ["explain", "--json"], ["similar"], ["retract"], ["retract", "--source"], ["dead", "list", "--source"], ["dead", "list", "--code"],
    ["dead", "list", "--text"], ["dead", "list", "--since"], ["dead", "show"], ["dead", "show", "--json"], ["dead", "replay"], ["dead", "edit"],
    ["dead", "mend", "--replace", "a"], ["dead", "mend", "--regex", "a"], ["dead", "discard", "--reason"], ["stories", "--topic"],
    ["explain", "x", "--most"], ["similar", "https://a.example/", "--most"], ["tail", "--seconds", "0.01", "--last"], ["stories", "--since"], ["stories", "--limit"], ["sources", "--hours"], ["tail", "--seconds", "0.01", "--url"], ["tail", "--seconds", "0.01", "--outcome"],
    ["lane", "pause"], ["lane", "resume"], ["lane", "repair"], ["check"], ["reprocess", "--source"], ["reprocess", "--url"],
    ["reprocess", "--since"], ["metrics", "--once", "--listen"], [], ["dead"],
]  # fmt: skip
"""Commands to which a text is added as their last argument."""
ARGUMENTS = ["", "-", "--", "-x", "--json=[/x]", "\x00", "a\x00b", "\ud800", "caf\udce9", "[/x]", "²", "²-1", "18446744073709551616-1",
             "18446744073709551615-18446744073709551615", "99999999999999999999", "9" * 5000, "-1", "1e999", "nan", "inf", "x" * 100_000,
             "https://" + "a" * 100_000, "https://[/x]", "https://a.example/\x9b2J", "\x1b[2J", "\u202e", "%", "../../etc", "http://", "https://[::1"]  # fmt: skip


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.long)])
def environment(request, valkey, tmp_path_factory, migrated_sqlite):
    """The settings of a store and a Redis of their own."""
    folder = tmp_path_factory.mktemp("data")
    with contextlib.ExitStack() as stack:
        if request.param == "postgresql":
            url = stack.enter_context(request.getfixturevalue("postgres").migrated_database())
        else:
            url = migrated_sqlite(folder / "store.db")
        yield {"COPYDESK_DATABASE_URL": url, "COPYDESK_REDIS_URL": valkey.url, "COPYDESK_DATA_DIR": str(folder)}


def run(capsys, arguments):
    """Run a command in this process; returns its exit code and its output."""
    with pytest.raises(SystemExit) as ended:
        app.run(arguments)
    output = capsys.readouterr()
    for text in (output.out, output.err):
        assert "Traceback" not in text, (arguments, text)
        odd = {
            hex(ord(c)) for c in text if c not in "\n\t" and unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp")
        }
        assert not odd, (arguments, odd)
    assert ended.value.code in list(Exit), arguments
    return ended.value.code, output.out


def plant(environment, client, texts):
    source, key, title, reason, who = texts
    config = Settings(database_url=environment["COPYDESK_DATABASE_URL"])
    engine = make_engine(config)
    client.flushall()
    for lane in (config.lane_list[0].name, INTERNAL_LANE):
        LeaseQueue(client, lane).ensure()
    url = f"https://a.example/{abs(hash(key))}"
    raws = [
        f"---\ntitle: {json.dumps(title)}\nexcerpt: {json.dumps(reason)}\nwebUrl: {url}\n---\n{reason}\n",
        f"---\ntitle: {title}: {title}: x\n---\n",
    ]
    lane = config.lane_list[0].name
    for n, raw in enumerate(raws):
        fields = {
            b"raw": raw.encode(errors="surrogatepass"),
            b"source": source.encode(errors="replace"),
            b"key": f"{key}{n}".encode(errors="replace"),
        }
        id_ = client.xadd(lane, fields).decode()
        work(engine, lane, [Claimed(id_, 0, 100, fields, truncated=False)])
    with engine.begin() as connection:
        for dead_letter in dead_letters.find(connection, dead_letters.Filter(source=None))[:1]:
            dead_letters.record(
                connection, dead_letter.id, "failed", who.replace("\0", "")[:100], reason=reason.replace("\0", "")
            )
    client.hset(PAUSED_LANES, lane, json.dumps({"who": who, "at": 1.0, "why": reason, "by": "operator"}))
    client.hset(paused_sources(lane), source, json.dumps({"who": who, "at": 1.0, "why": reason, "by": "operator"}))
    row = ("1-0", source, "rejected", key, title, [title])
    outcome_feed.publish(client, lane=lane, worker=who, rows=[row])
    engine.dispose()
    return lane


def read_all(environment, monkeypatch, capsys, client, texts, commands):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    plant(environment, client, [text.encode(errors="replace").decode() for text in texts])
    for arguments in commands:
        _code, out = run(capsys, arguments)
        if "--json" in arguments:
            for line in out.splitlines():
                json.loads(line)


@pytest.mark.parametrize(
    "nasty",
    [
        "\x1b[2J\x9b\u202e\u2028[/x]",
        *(pytest.param(text, marks=pytest.mark.long) for text in ("[/x]", "[bold]:smile:\x07")),
    ],
)
def test_no_command_interprets_a_foreign_text(environment, monkeypatch, capsys, redis_client, nasty):
    read_all(environment, monkeypatch, capsys, redis_client, [nasty] * 5, READING)


@settings(max_examples=1, deadline=None, suppress_health_check=list(HealthCheck))
@given(texts=st.tuples(TEXT, TEXT, TEXT, TEXT, TEXT))
def test_no_command_interprets_any_text(environment, monkeypatch, capsys, redis_client, texts):
    read_all(environment, monkeypatch, capsys, redis_client, texts, READING)


@pytest.mark.long
@pytest.mark.timeout(1800)
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(texts=st.tuples(TEXT, TEXT, TEXT, TEXT, TEXT))
def test_no_command_interprets_any_of_sixty_texts(environment, monkeypatch, capsys, redis_client, texts):
    read_all(environment, monkeypatch, capsys, redis_client, texts, READING)


@pytest.mark.parametrize("command", OF_TEXT, ids=" ".join)
@pytest.mark.parametrize("share", [10, pytest.param(1, marks=pytest.mark.long)])
def test_any_argument_is_answered_with_a_sentence(environment, monkeypatch, capsys, redis_client, command, share):
    """In the short form each command gets a tenth of the arguments, another tenth than the command before."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    LeaseQueue(redis_client, INTERNAL_LANE).ensure()
    for argument in ARGUMENTS[OF_TEXT.index(command) % share :: share]:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"---\ntitle: \x1b[2J\n---\n")))
        run(capsys, [*command, argument])


@pytest.mark.parametrize("command", [
    "sources --hours", "losses --hours", "status --watch --every", "status --wait-drained --timeout", "tail --seconds",
    "submit --wait x.md --timeout", "ingest x.md --timeout",
])  # fmt: skip
def test_nan_is_no_number_of_any_option(environment, monkeypatch, capsys, command):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    code, _ = run(capsys, [*command.split(), "nan"])
    assert code == Exit.USAGE


def test_escaped_json_has_the_same_value(capsys):
    from worker.cli.terminal import print_json

    value = {"\x9b": "\u202e\u2028\ud800\U000e0041é中\x00\n\t\x7f"}
    print_json(value)
    out = capsys.readouterr().out
    assert json.loads(out) == value
    assert re.fullmatch(r"[\x20-\x7eé中]+\n", out)
