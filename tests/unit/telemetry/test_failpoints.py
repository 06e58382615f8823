"""The table of failpoints and the code agree, and each action does what it says."""

import re
import signal

import pytest

from tests.support.commands import COMMANDS
from tests.support.servers import ROOT, environment
from worker.telemetry.failpoints import ACTIONS, POINTS, parse


def test_every_point_of_the_table_is_in_the_code_once_and_no_other():
    calls = []
    for path in (ROOT / "worker").rglob("*.py"):
        if path.name != "failpoints.py":
            calls += re.findall(r'failpoint\("([^"]+)"\)', path.read_text("utf-8"))
    assert sorted(calls) == sorted(POINTS)


def test_a_plan_is_parsed():
    assert parse("ingest.claimed=kill, store.turn=sleep:0.5@3") == {
        "ingest.claimed": ("kill", 1), "store.turn": ("sleep:0.5", 3),
    }  # fmt: skip


@pytest.mark.parametrize("wrong", ["ingest.nowhere=kill", "ingest.claimed=explode", "ingest.claimed=kill@often", "x"])
def test_a_plan_without_effect_is_refused(wrong):
    with pytest.raises(ValueError):
        parse(wrong)


def run(plan, times=1):
    """Run `failpoint_loop.py` with this plan, which a process reads when it loads the module."""
    plan = {} if plan is None else {"COPYDESK_FAILPOINTS": plan}
    return COMMANDS.run(
        [str(times)], cwd=ROOT, env=environment(**plan), timeout=120, module="tests.unit.telemetry.failpoint_loop"
    )


def test_a_failpoint_that_is_not_set_does_nothing():
    assert run(None).returncode == 0


@pytest.mark.parametrize(
    ("action", "code"),
    [("kill", -signal.SIGKILL), ("exit", 70), ("segv", -signal.SIGSEGV), ("raise", 1), ("sleep:0.01", 0)],
)
def test_each_action_ends_the_process_with_its_code(action, code):
    assert action.partition(":")[0] in ACTIONS
    assert run(f"ingest.read={action}").returncode == code


def test_a_failpoint_acts_at_the_nth_time():
    done = run("ingest.read=exit@3", times=5)
    assert done.returncode == 70
    assert [line for line in done.stdout.splitlines() if line.isdigit()] == ["0", "1"]


def test_a_folder_of_failpoints_acts_once_over_all_processes_and_is_marked(tmp_path):
    (tmp_path / "ingest.read").write_text("exit")
    assert [run(str(tmp_path)).returncode for _ in range(2)] == [70, 0]
    assert [path.name for path in tmp_path.iterdir()] == ["ingest.read.struck"]
