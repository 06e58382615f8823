"""A limit of open files that is too low for a worker is reported at once, with the number that is needed."""

from __future__ import annotations

import resource
import subprocess
import time

import pytest

from tests.support.servers import command, environment


def run(tmp_path, words, soft, hard, **settings):
    return subprocess.run(
        command(*words), capture_output=True, text=True, timeout=60, cwd=tmp_path, env=environment(**{"COPYDESK_CONCURRENCY": "2", **settings}), check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard)),
    )  # fmt: skip


@pytest.mark.parametrize("words", [
    ["up"], *(pytest.param(words, marks=pytest.mark.long) for words in (["worker"], ["ingest", "."], ["worker", "--concurrency", "2"])),
], ids=" ".join)  # fmt: skip
def test_too_few_open_files_are_refused_before_anything_starts(tmp_path, words):
    (tmp_path / "one.md").write_text("---\ntitle: One\nwebUrl: https://a.example/1\n---\n")
    began = time.monotonic()
    refused = run(tmp_path, words, 40, 40)
    assert refused.returncode == 2
    assert "only 40 files may be open at once, and a worker with 2 pool processes needs 56" in refused.stderr
    assert time.monotonic() - began < 50  # a fresh Python, on a busy machine
    assert not (tmp_path / ".copydesk").exists()


def test_the_number_grows_with_the_pool(tmp_path):
    refused = run(tmp_path, ["up"], 100, 100, COPYDESK_CONCURRENCY="16")
    assert "a worker with 16 pool processes needs 168" in refused.stderr


def test_with_the_number_that_is_needed_documents_are_stored_even_if_the_soft_limit_is_lower(tmp_path):
    (tmp_path / "one.md").write_text("---\ntitle: One\nwebUrl: https://a.example/1\n---\n")
    done = run(tmp_path, ["ingest", "one.md", "--timeout", "40"], 40, 56)
    assert done.returncode == 0, done.stderr
