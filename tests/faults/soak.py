"""Random faults for a given time, under load: `python -m tests.faults.soak --minutes 30 [--database sqlite] [--seed 7]`.

Servers of its own, two workers of two processes each, the time-outs of production (`--short-times`: those of the tests).
After each fault documents must flow again within 30 s, then the backlog is worked off and a census is taken. Prints a line a
fault, then a table and the last census. Exit code 0 when all was well, 1 when anything was not; then the workers' log is kept.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import statistics
import sys
import time
from collections import defaultdict
from pathlib import Path

from tests.faults import registry
from tests.faults.crashes import crash_at
from tests.faults.faults import FAULTS, Strike, Unavailable
from tests.faults.scene import RECOVERY_SECONDS, SHORT_TIMES, Scene, Struck
from tests.faults.stores import PostgresStore, SqliteStore
from worker.observe.failpoints import POINTS


def main() -> int:
    options = _options()
    registry.long_form = True
    draw = random.Random(options.seed)
    ends = time.monotonic() + options.minutes * 60
    done: dict[str, list[Struck]] = defaultdict(list)
    failures: list[str] = []
    print(f"Soak on {options.database}, {options.minutes:g} minutes, seed {options.seed}", flush=True)
    while time.monotonic() < ends:
        _run(options, draw, ends, done, failures)
    _print_table(done)
    for failure in failures:
        print(f"FAILED {failure}")
    verdict = "all was well" if not failures else f"{len(failures)} FAILED"
    print(f"{sum(map(len, done.values()))} faults survived; {verdict}")
    return 1 if failures else 0


def _run(
    options: argparse.Namespace, draw: random.Random, ends: float, done: dict[str, list[Struck]], failures: list[str]
) -> None:
    """Fault after fault on one desk, until the time is over or something is wrong: then the next begins anew."""
    store = PostgresStore() if options.database == "postgresql" else SqliteStore()
    times = SHORT_TIMES if options.short_times else {}
    try:
        with Scene(store, times=times, seed=draw.randrange(1 << 30), rate=options.rate) as scene:
            while time.monotonic() < ends:
                name, strike = _draw_fault(draw, options.database)
                try:
                    struck = scene.strike(strike, name)
                except Unavailable as why:
                    print(f"{name}: skipped, {why}", flush=True)
                    continue
                except Exception as error:
                    failures.append(f"{name}: {str(error).splitlines()[0]}")
                    kept = Path(f"soak-failure-{len(failures)}.log").absolute()
                    shutil.copyfile(scene.desk.log, kept)
                    print(f"FAILED {name}: {error}\nthe workers' log: {kept}", flush=True)
                    return
                done[name].append(struck)
                if struck.recovery > RECOVERY_SECONDS:
                    failures.append(f"{name}: late, documents flowed after {struck.recovery:.0f} s")
                print(f"{time.strftime('%H:%M:%S')}  {name:44} met {struck.pending:4}, flows after {struck.recovery:5.1f} s, "
                      f"done after {struck.drained:5.1f} s, "
                      f"load {os.getloadavg()[0]:.0f}; {struck.findings}", flush=True)  # fmt: skip
    finally:
        store.stop()


def _draw_fault(draw: random.Random, database: str) -> tuple[str, Strike]:
    """Every third is a crash at a failpoint."""
    if draw.random() < 1 / 3:
        point = draw.choice(list(POINTS))
        return f"crash at {point}", crash_at(point)
    fault = draw.choice([fault for fault in FAULTS.values() if database in fault.stores])
    return fault.name, fault.strike


def _print_table(done: dict[str, list[Struck]]) -> None:
    print(
        "\n| fault | times | documents flow again after s, median / most | backlog done after s, median / most | met, least |"
    )
    print("|---|---|---|---|---|")
    for name, found in sorted(done.items()):
        flows, drained = [one.recovery for one in found], [one.drained for one in found]
        print(f"| {name} | {len(found)} | {statistics.median(flows):.1f} / {max(flows):.1f} | "
              f"{statistics.median(drained):.1f} / {max(drained):.1f} | {min(one.pending for one in found)} |")  # fmt: skip
    print()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--database", choices=("postgresql", "sqlite"), default="postgresql")
    parser.add_argument("--seed", type=int, default=random.randrange(10_000), help="the same faults in the same order")
    parser.add_argument("--rate", type=float, default=60, help="documents a second at most")
    parser.add_argument("--short-times", action="store_true", help="a lease of 8 s instead of the setting's default")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
