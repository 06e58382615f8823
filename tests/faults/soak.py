"""Inject faults under load, one after the other into one running system, with a reconciliation after each.

    python -m tests.faults.soak --rounds 3                      every fault and a crash at every failpoint, three times
each
    python -m tests.faults.soak --rounds 1 --database sqlite    the same once on SQLite
    python -m tests.faults.soak --minutes 30 [--seed 7]         random ones for a given time

It uses its own servers, two workers of two processes each, the time-outs of production (`--short-times`: those of the
tests),
and outages at full length. After each fault documents must be stored again within 30 s; then the backlog is processed
and a
reconciliation is run. Errors are recorded and the soak continues, on a new system if the old one is stuck or its
reconciliation was not clean. The result of each fault is appended to the file `--results` at once; a table is printed
at the
end, or on Ctrl-C or SIGTERM. Exit code 0: no error. 1: an error (the workers' logs are kept then), or a round left a
fault out.
"""

from __future__ import annotations

import argparse
import os
import platform
import random
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from tests.faults import registry
from tests.faults.faults import Injection, Unavailable, injections
from tests.faults.results import Results
from tests.faults.scenario import SHORT_TIMES, NothingInFlight, Scenario
from tests.faults.stores import PostgresStore, SqliteStore
from worker.telemetry.failpoints import POINTS

_TRIES = 3
"""Attempts with one fault until entries are in flight; attempts to start a system."""
_NO_START = "(starting or ending the system)"


def main() -> int:
    options = _options()
    registry.long_form = True
    results = Results(Path(options.results).absolute())
    for number in (signal.SIGTERM, signal.SIGINT):  # SIGINT is ignored if a shell started this in the background
        signal.signal(number, signal.default_int_handler)
    draw = random.Random(options.seed)
    plan = _rounds(options, draw) if options.rounds else _random(options, draw)
    length = f"{options.rounds} rounds" if options.rounds else f"{options.minutes:g} minutes"
    results.begin(database=options.database, length=length, seed=options.seed, short_times=options.short_times,
                  rate=options.rate, python=platform.python_version())  # fmt: skip
    print(f"Soak on {options.database}, {length}, seed {options.seed}; results in {results.path}", flush=True)
    interrupted = False
    try:
        upcoming = next(plan, None)
        while upcoming is not None:
            upcoming = _run(options, draw, upcoming, plan, results)
    except KeyboardInterrupt:
        interrupted = True
    print(f"\n{results.table()}{' (interrupted)' if interrupted else ''}")
    return 1 if results.failures or interrupted or (options.rounds and results.skipped) else 0


Named = tuple[str, Injection]


def _rounds(options: argparse.Namespace, draw: random.Random) -> Iterator[Named]:
    """Yield every fault, in another order each round."""
    for _ in range(options.rounds):
        everything = [one for one in injections(options.database).items() if options.only in one[0]]
        draw.shuffle(everything)
        yield from everything


def _random(options: argparse.Namespace, draw: random.Random) -> Iterator[Named]:
    """Yield random faults; every third is a crash at a failpoint."""
    ends = time.monotonic() + options.minutes * 60
    known = injections(options.database)
    crashes = [f"crash at {point}" for point in POINTS]
    faults = [name for name in known if name not in crashes]
    while time.monotonic() < ends:
        name = draw.choice(crashes if draw.random() < 1 / 3 else faults)
        yield name, known[name]


def _run(
    options: argparse.Namespace, draw: random.Random, upcoming: Named | None, plan: Iterator[Named], results: Results
) -> Named | None:
    """Inject one fault after another into one system; returns the first fault for the next system, None if none is
    left.
    """
    store = PostgresStore() if options.database == "postgresql" else SqliteStore()
    times = SHORT_TIMES if options.short_times else {}
    try:
        with Scenario(store, times=times, seed=draw.randrange(1 << 30), rate=options.rate) as scenario:
            while upcoming is not None:
                is_sound = _inject(scenario, upcoming, results)
                upcoming = next(plan, None)
                if not is_sound:
                    break
    except Exception as error:
        results.failed(_NO_START, error)
        if [name for name, _ in results.failures[-_TRIES:]] == [_NO_START] * _TRIES:
            return None
    finally:
        store.stop()
    return upcoming


def _inject(scenario: Scenario, named: Named, results: Results) -> bool:
    """Inject one fault. Returns whether the system can be used again."""
    name, inject = named
    before = len(results.failures)
    is_sound = True
    try:
        result = scenario.inject(inject, name)
    except Unavailable as why:
        results.skip(name, why)
    except Exception as error:
        results.failed(name, error, load=os.getloadavg()[0])
        is_sound = isinstance(error, NothingInFlight)
    else:
        results.survived(result, load=round(os.getloadavg()[0], 1))
        is_sound = result.findings.clean
    if len(results.failures) > before:
        kept = results.path.with_name(f"{results.path.stem}-failure-{len(results.failures)}.log")
        shutil.copyfile(scenario.workers.log, kept)
        print(f"          the workers' log: {kept}", flush=True)
    return is_sound


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--rounds", type=int, default=0, help="everything, so many times each")
    length.add_argument("--minutes", type=float, default=30, help="random faults for so long (30 by default)")
    parser.add_argument("--database", choices=("postgresql", "sqlite"), default="postgresql")
    parser.add_argument("--only", default="", help="of a round: what has this in its name")
    parser.add_argument("--seed", type=int, default=random.randrange(10_000), help="the same faults in the same order")
    parser.add_argument("--rate", type=float, default=60, help="documents a second at most")
    parser.add_argument(
        "--results", default=f"soak-{time.strftime('%m%d-%H%M%S')}.jsonl", help="a JSON line for each fault"
    )
    parser.add_argument("--short-times", action="store_true", help="a lease of 8 s instead of the setting's default")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
