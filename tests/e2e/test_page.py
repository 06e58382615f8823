"""schemas/README.md, the page for authors of crawlers: each example is run unchanged, with the rights of a crawler."""

from __future__ import annotations

import http.server
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path

import pytest

from schemas.receipt import Outcome
from tests.support.access_rights import ACL, GuardedSystem, TlsSystem, make_certificate
from tests.support.servers import ROOT, until

PAGE = (ROOT / "schemas" / "README.md").read_text("utf-8")
SITE = Path(__file__).parent / "site"


def blocks() -> list[tuple[str, str, str]]:
    """Return (heading, language, text) of each block on the page."""
    found, heading = [], ""
    for match in re.finditer(r"^#+ ([^\n]+)$|^```(\w+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL):
        if match[1]:
            heading = match[1]
        else:
            found.append((heading, match[2], match[3]))
    return found


def block(heading: str) -> str:
    return next(text for found, _, text in blocks() if found == heading)


RUN_HERE = {
    "For authors of crawlers", "Shell", "Python", "Node.js, with `redis`", "Node.js, with `ioredis`", "PHP", "Ruby", "Scrapy",
    "Celery", "Python, with the client of this package", "What you send", "What you get back",
}  # fmt: skip


def test_every_block_of_the_page_is_run():
    assert {heading for heading, _, _ in blocks()} == RUN_HERE


def test_every_example_in_a_language_obeys_backpressure():
    languages = RUN_HERE - {"For authors of crawlers", "What you send", "What you get back"}
    client = "Python, with the client of this package"  # its Producer waits
    assert [heading for heading in languages - {client} if "copydesk:slow-down" not in block(heading)] == []


def test_the_page_says_for_every_outcome_what_to_do():
    table = re.search(r"^\| outcome .+?\n\n", PAGE, re.MULTILINE | re.DOTALL)[0]
    assert re.findall(r"^\| `(\w+)`", table, re.MULTILINE) == list(Outcome)


def test_every_link_of_the_page_leads_to_a_file():
    for target in re.findall(r"\]\(([^)#]+)\)", PAGE):
        assert target.startswith("https://") or (ROOT / "schemas" / target).exists(), target


def test_the_acl_line_for_another_crawler_is_that_of_the_acl_file():
    shown = re.search(r"^    (user agency .+)$", PAGE, re.MULTILINE)[1]
    line = next(line for line in ACL.read_text("utf-8").splitlines() if line.startswith("user crawler "))
    expected = (
        line.replace(">CRAWLER_PASSWORD", ">secret")
        .replace("documents", "documents:agency")
        .replace("crawler", "agency")
    )
    assert shown == expected


@pytest.fixture(scope="module")
def system():
    with GuardedSystem(tcp=True) as found:
        story = next(text for _, language, text in blocks() if language == "md")
        (found.folder / "story.md").write_text(story)
        yield found


@pytest.fixture
def run(system):
    """Run a block in a file; returns what it printed."""

    def run_block(command, text, suffix, *, folder=None, **environment):
        file = (folder or system.folder) / f"example{suffix}"
        file.write_text(text)
        if shutil.which("redis-cli") is None and suffix == ".sh":
            pytest.skip("redis-cli is not installed (Debian: redis-tools)")
        ended = subprocess.run(
            [*command, file], cwd=system.folder, capture_output=True, text=True, timeout=120, check=False, stdin=subprocess.DEVNULL,
            env={**os.environ, "REDIS_URL": system.url("crawler"), **environment},
        )  # fmt: skip
        assert ended.returncode == 0, ended.stdout + ended.stderr
        assert "NOPERM" not in ended.stdout + ended.stderr
        return ended.stdout.strip()

    return run_block


def needs(program, package):
    return pytest.mark.skipif(shutil.which(program) is None, reason=f"{program} is not installed (Debian: {package})")


OUTCOMES = {"stored", "updated", "unchanged"}


def test_the_shortest_example_stores_a_document(run, system):
    id_ = run(["sh"], block("For authors of crawlers"), ".sh")
    assert re.fullmatch(r"\d+-\d+", id_)
    until(lambda: system.copydesk("explain", id_).returncode == 0, what="the document has an outcome")


def test_the_shell_example_works(run):
    assert json.loads(run(["sh"], block("Shell"), ".sh").splitlines()[-1])["outcome"] in OUTCOMES


def test_the_retraction_example_works(run, system):
    run([sys.executable], block("Python"), ".py")
    id_ = run(["sh"], block("What you send"), ".sh")
    until(lambda: "retracted" in system.copydesk("explain", id_).stdout, what="it is retracted")


def test_the_example_that_follows_receipts_works(run, system):
    with system.client("crawler") as crawler:
        good, bad = (
            crawler.xadd("documents", {"raw": raw, "key": key, "reply_to": "replies:crawler:harbour"}).decode()
            for key, raw in (("good", "---\ntitle: a\n---\n"), ("bad", "---\ntitle: a: b\n---\n"))
        )
    printed = run([sys.executable], block("What you get back"), ".py").splitlines()
    assert {f"{good} good stored", f"{bad} bad rejected"} < set(printed)
    assert any(line.startswith("error yaml_unquoted_colon 2 ") for line in printed)


def test_the_python_example_works(run):
    assert run([sys.executable], block("Python"), ".py") in OUTCOMES


@pytest.mark.parametrize("client", ["redis", "ioredis"])
def test_the_node_example_works(run, node_folder, client):
    assert run(["node"], block(f"Node.js, with `{client}`"), f"-{client}.mjs", folder=node_folder) in OUTCOMES


@needs("perl", "perl")
def test_a_crawler_written_from_the_page_alone_in_a_language_that_is_not_on_it(run):
    """Perl without a Redis client: `crawler.pl` was written from the page and from the documentation of the Redis
    protocol.
    """
    assert run(["perl"], (Path(__file__).parent / "crawler.pl").read_text("utf-8"), ".pl") in OUTCOMES


@pytest.mark.long
@pytest.mark.skipif(shutil.which("redis-server") is None, reason="the Valkey of the wheel is built without TLS")
def test_the_examples_work_with_tls(tmp_path, monkeypatch, node_folder):
    certificate = str(make_certificate(tmp_path) / "cert.pem")
    monkeypatch.setenv("SSL_CERT_FILE", certificate)
    monkeypatch.setenv("NODE_EXTRA_CA_CERTS", certificate)
    programs = {"Shell": "sh", "Python": sys.executable, "PHP": "php", "Ruby": "ruby", "Celery": sys.executable}
    programs |= {f"Node.js, with `{client}`": "node" for client in ("redis", "ioredis")}
    with TlsSystem(tmp_path, known=True) as system:
        (system.folder / "story.md").write_text(next(text for _, language, text in blocks() if language == "md"))
        urls = {"REDIS_URL": system.url("crawler"), "BROKER_URL": system.url("worker")}
        for heading, program in programs.items():
            file = (node_folder if program == "node" else system.folder) / "example-tls.mjs"
            file.write_text(block(heading))
            command = [program, str(file)]
            subprocess.run(command, cwd=system.folder, env={**os.environ, **urls}, timeout=90, check=True)


@needs("php", "php-cli")
def test_the_php_example_works(run):
    if "redis" not in subprocess.run(["php", "-m"], capture_output=True, text=True, check=True).stdout.split():
        pytest.skip("PHP's redis is not installed (Debian: php-redis)")
    assert run(["php"], block("PHP"), ".php") in OUTCOMES


@needs("ruby", "ruby-redis")
def test_the_ruby_example_works(run):
    if subprocess.run(["ruby", "-e", "require 'redis'"], capture_output=True, check=False).returncode:
        pytest.skip("Ruby's redis is not installed (Debian: ruby-redis)")
    assert run(["ruby"], block("Ruby"), ".rb") in OUTCOMES


@pytest.fixture
def site():
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=str(SITE))
    handler.log_message = lambda *_: None
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/index.html"
        server.shutdown()


def test_the_scrapy_example_works(run, system, site):
    pytest.importorskip("scrapy")
    run([sys.executable, "-m", "scrapy", "runspider"], block("Scrapy"), ".py", START_URL=site)
    for path in ("pier", "bridge"):
        url = f"https://harbour-courier.example/{path}"
        explained = until(lambda url=url: (e := system.copydesk("explain", url)).returncode == 0 and e, what=url)
        assert "document harbour" in explained.stdout


def test_the_celery_example_works(run, system):
    run([sys.executable], block("Celery"), ".py", BROKER_URL=system.url("worker"))
    until(lambda: "document my-app" in system.copydesk("explain", "stories/2.md").stdout, what="it is stored")


def test_the_example_with_the_packaged_client_works(run, system):
    lines = run(
        [sys.executable], block("Python, with the client of this package"), ".py", PYTHONPATH=str(ROOT)
    ).splitlines()
    assert lines[0] in OUTCOMES
    assert lines[1:-1] == [f"{n} sent" for n in range(200, 1001, 200)]
    until(
        lambda: "retracted" in system.copydesk("explain", "https://harbour-courier.example/ferry-7").stdout,
        what="it is retracted",
    )
