"""The runbook: each alarm has its heading, and every command is run on a system with many dead letters."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal

import pytest
import redis

from tests.e2e.documents import document
from tests.support.log_calls import calls
from tests.support.servers import ROOT, VALID, Background, until
from worker.activity.heartbeats import workers
from worker.cli import app as main
from worker.errors import Exit
from worker.settings import embedded_redis_url, settings

RUNBOOK = (ROOT / "worker" / "deploy" / "RUNBOOK.md").read_text("utf-8")
HEADINGS = re.findall(r"^#+ (.*)$", RUNBOOK, re.MULTILINE)
NO_TITLE = "---\nexcerpt: no title\nwebUrl: https://t.example\n---\n"
COLON = "---\ntitle: Story {n}\nexcerpt: They call it: the hall\nwebUrl: https://colon.example/{n}\n---\n"


def commands():
    """Return each command of the blocks once, in order."""
    blocks = re.findall(r"^```sh\n(.*?)^```$", RUNBOOK, re.MULTILINE | re.DOTALL)
    return list(dict.fromkeys(re.sub(r"\s+#.*", "", line) for block in blocks for line in block.splitlines()))


def test_each_alarm_has_its_heading():
    patterns = {
        call.event: re.escape(call.event).replace("…", ".+") for call in calls() if call.level in ("warning", "error")
    }
    missing = [event for event, pattern in patterns.items() if not any(re.fullmatch(pattern, h) for h in HEADINGS)]
    text = RUNBOOK.replace("\n", " ")
    # Two alarms of one cause may share a heading that names both.
    assert [event for event in missing if event not in text] == []
    assert len(patterns) > 20, "the scan finds the alarms"


def test_a_missing_heading_is_found():
    (call,) = calls("log = get_logger('x')\nlog.error('The sky falls')\n")
    assert call.event not in RUNBOOK


def test_links_within_the_runbook_lead_to_a_heading():
    anchors = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in HEADINGS}
    targets = re.findall(r"\]\(#([^)]+)\)", RUNBOOK)
    assert targets
    assert set(targets) <= anchors


def test_the_exit_codes_of_the_runbook_are_those_of_the_program():
    assert {int(code) for code in re.findall(r"^\| (\d+) \|", RUNBOOK, re.MULTILINE)} == set(Exit)


def test_commands_within_sentences_exist():
    import typer

    known = set(typer.main.get_command(main.app).commands)
    assert set(re.findall(r"`copydesk ([a-z]+)", RUNBOOK)) <= known


FEW, MANY = 30, 500


@pytest.fixture(scope="module")
def installation(request, tmp_path_factory, migrated_sqlite):
    """A running system with the data that the runbook mentions: documents of one fault, others, and some in the store."""
    folder = tmp_path_factory.mktemp("night")
    migrated_sqlite(folder / ".copydesk" / "copydesk.db")
    # The circuit breaker would pause a lane on which 500 documents are rejected; another section of the runbook covers
    # that.
    with Background("up", cwd=folder, COPYDESK_BREAKER_SHARE="1", COPYDESK_LINK="true") as up:
        up.says("serves the lanes documents")
        with redis.Redis.from_url(embedded_redis_url(folder / ".copydesk")) as client:
            send = client.pipeline(transaction=False)
            for n in range(4):
                fields = {"raw": NO_TITLE, "source": "my-crawler", "key": f"t{n}"}
                send.xadd("documents", fields)
                if not n:  # alone, so that it is dead letter 1
                    send.execute()
                    until(lambda: client.xlen("documents") == 0, what="the first has its outcome")
                send.xadd("documents", {"raw": "robots.txt", "source": "my-crawler", "key": f"r{n}"})
            send.xadd("documents", {"raw": document(1, 10), "source": "my-crawler", "key": "story.md"})
            ferry = (VALID / "ferry-face-scans-harbour-courier.md").read_bytes()
            send.xadd("documents", {"raw": ferry, "source": "good-crawler", "key": "ferry.md"})
            for n in range(request.param):
                send.xadd("documents", {"raw": COLON.format(n=n), "source": "my-crawler", "key": f"c{n}"})
            send.execute()
            until(lambda: client.xlen("documents") == 0, what="all have an outcome")
            until(lambda: any(one.is_consuming for one in workers(client)), what="the worker says that it consumes")
        yield folder
        assert up.process.poll() is None, up.text()


@pytest.fixture
def copydesk(installation, monkeypatch, capfd, tmp_path):
    """`copydesk(line)`: run a command of the runbook in this process, because starting a hundred would take minutes. It
    must exit with 0.
    """
    monkeypatch.chdir(installation)
    (tmp_path / "mended.md").write_text(document(2, 10))
    monkeypatch.setenv("EDITOR", f"cp {tmp_path / 'mended.md'}")
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.setenv("COLUMNS", "120")
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    settings.cache_clear()

    def run(line, code=0):
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            main.run(shlex.split(line)[1:])
        shown = capfd.readouterr()
        assert ended.value.code == code, f"{line}\n{shown.out}{shown.err}"
        return shown.out + shown.err

    yield run
    settings.cache_clear()
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("installation", [FEW, pytest.param(MANY, marks=pytest.mark.long)], indirect=True)
@pytest.mark.timeout(400)
def test_every_command_works_and_all_dead_letters_of_one_cause_are_repaired(copydesk, request):
    output, many = {}, request.node.callspec.params["installation"]
    for line in commands():
        assert line.startswith("copydesk "), line
        output[line] = copydesk(line)
    # Documents are processed, and a source is named of which nearly all are rejected.
    assert output["copydesk health"].startswith("degraded\n  Source my-crawler: ")
    assert "It is in the store and its article shows it" in output["copydesk explain story.md"]
    assert (
        "harbour-courier.example/news/business/article243103.html"
        in output["copydesk explain https://www.harbour-courier.example/news/business/article243103.html"]
    )
    share = f"{(many + 8) / (many + 9):.1%}"
    assert re.search(rf"my-crawler +{many + 9} +{many + 8} +{re.escape(share)}", output["copydesk sources"]), output
    assert re.search(rf"yaml_unquoted_colon +my-crawler +{many}", output["copydesk dead list"])
    # The order of the last documents depends on which batch ended last.
    assert output["copydesk tail --source my-crawler --last 20 --seconds 1"].count(" my-crawler ") == 20
    assert "0 would pass now, 4 would be rejected again" in output["copydesk dead replay --code no_title"]
    (dry, done) = [output[line] for line in output if "dead mend" in line]
    assert f"{many} would pass with this change, 0 would be rejected again" in dry
    assert "-excerpt: They call it: the hall" in dry
    assert f"{many} edited and replayed" in done
    assert "Drained" in output["copydesk status --wait-drained --timeout 120"]

    def mended():
        left = copydesk("copydesk dead list --code yaml_unquoted_colon --json")
        return not left

    until(mended, what="all are in the store", every=1)
    (newest, *_) = json.loads(copydesk(f"copydesk explain c{many - 1} --json"))["receipts"]
    assert newest["outcome"] == "stored"


@pytest.mark.parametrize("installation", [FEW], indirect=True)
@pytest.mark.timeout(400)
def test_a_hanging_worker_and_its_waiting_entries_are_reported(copydesk, installation):
    """`Does a worker hang?`, with a worker whose process is stopped."""
    found = json.loads(copydesk("copydesk status --json"))["workers"]
    pids = [int(worker["worker"].rpartition(":")[2]) for worker in found]
    assert pids
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        with redis.Redis.from_url(embedded_redis_url(installation / ".copydesk")) as client:
            until(lambda: not workers(client), what="it is missed", every=0.2)
        assert not json.loads(copydesk("copydesk status --json"))["workers"]
        assert "no worker has sent a heartbeat" in copydesk("copydesk health", Exit.UNSOUND)
        shown = copydesk("copydesk status")
        assert "No worker is alive" in shown
        assert f"Worker {found[0]['worker']} fell silent" in " ".join(shown.split())
        with redis.Redis.from_url(embedded_redis_url(installation / ".copydesk")) as client:
            id_ = client.xadd("documents", {"raw": document(3, 10), "source": "c", "key": "waits.md"}).decode()
        assert "waits for its turn" in copydesk(f"copydesk explain {id_}")
        assert "1 wait in all" in copydesk("copydesk status --wait-drained --timeout 0.5", Exit.TIMED_OUT)
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
    assert "Drained" in copydesk("copydesk status --wait-drained --timeout 60")
    until(lambda: "fell silent" not in copydesk("copydesk status"), what="it is there again", every=1)
