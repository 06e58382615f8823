"""An embedded Valkey that answers with an error is not called silent."""

from __future__ import annotations

import redis

from tests.support.servers import copydesk
from worker.cli.local_stack import why_no_answer
from worker.queue.connection import connect
from worker.runtime.embedded.shared import SharedValkey
from worker.settings import Settings


def test_the_error_of_a_valkey_that_answers_is_shown(migrated_home):
    config = Settings(data_dir=migrated_home / ".copydesk")
    with SharedValkey(config), connect(config.redis) as client:
        client.config_set("maxmemory", 1)  # so it refuses to create the lane
        shown = copydesk("status", cwd=migrated_home)
        message = " ".join((shown.stdout + shown.stderr).split())
        assert "command not allowed when used memory" in message
        assert "does not answer" not in message
        assert "kill -CONT" not in message
        wrong = redis.ResponseError("WRONGTYPE Operation against a key holding the wrong kind of value")
        assert "holds something else than it must" in why_no_answer(config, wrong)[0]
        assert "does not answer" in why_no_answer(config, redis.TimeoutError())[0]
