"""`--since` takes the same times in every command."""

from __future__ import annotations

import pytest

from tests.support.servers import copydesk

COMMANDS = [("dead", "list"), ("reprocess",), ("relink",), ("stories",)]


@pytest.fixture
def run(migrated_home):
    return lambda *arguments: copydesk(*arguments, cwd=migrated_home)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_since_is_a_span_or_a_day_or_a_time(run, command):
    for text in ("2h", "90m", "30d", "2w", "2026-01-31", "2026-01-31T12:00", "2026-01-31T12:00:00+02:00"):
        done = run(*command, "--since", text)
        assert done.returncode == 0, (text, done.stderr)
    for text in ("soon", "2", "h", "2026-13-01", "-2h"):
        done = run(*command, "--since", text)
        assert done.returncode == 2, (text, done.stderr)
        assert "--since" in done.stderr
