"""`python -m tests.benchmarks [--short]`: measure Copydesk, the peers and the limit in one run on the same documents.

Each line is the median of interleaved runs (A B C, A B C, A B C), so that other load on the machine affects all of them
alike. Beside the documents a second it shows the CPU time of a document in all processes together, which is comparable
on a
loaded machine too. Results are written to `build/benchmarks/` after each section: results.json, table.md,
throughput.png.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import json
import signal
import statistics
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.benchmarks import popular, scaling, sections
from tests.benchmarks.contenders import (
    LIMITS,
    PEERS,
    Copydesk,
    Peer,
    Run,
    Servers,
    Setting,
    limit,
    measured,
    throughput,
)
from tests.benchmarks.generator import Document, Generator
from tests.benchmarks.goals import goals
from tests.benchmarks.plot import plot
from tests.benchmarks.report import table
from tests.benchmarks.stages import Bench

SECTIONS = ("throughput", "sqlite", "stages", "latency", "growth", "backlog", "updates", "start", "scaling", "popular")


def main() -> int:
    """Run the sections, each on its own servers. A section that fails is recorded and the next one runs. Returns 1 if
    one failed.
    """
    options = _options()
    folder = Path(options.output)
    if options.plot:
        plot(json.loads((folder / "results.json").read_text()), Path(options.plot))
        return 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that servers and workers are stopped on exit
    folder.mkdir(parents=True, exist_ok=True)
    generator = Generator(1)
    documents, warm = generator.documents(options.documents), Generator(2).documents(200 if not options.short else 50)
    gc.freeze()  # Producers run in this process; without this the collector scans all documents each time.
    results: dict[str, Any] = {"documents": len(documents), "bytes": sum(len(one.raw) for one in documents)}
    for name in options.sections:
        began = time.monotonic()
        try:
            servers = Servers()
            try:
                results[name] = _SECTIONS[name](servers, documents, warm, options)
            finally:
                servers.stop()
        except Exception as error:
            traceback.print_exc()
            results[name] = {"failed": repr(error)[:500]}
        print(table({name: results[name]}), f"({time.monotonic() - began:.0f} s)\n", sep="\n", flush=True)
        _write(results, folder)
    print(table({"goals": results["goals"]}))
    print(f"Written to {folder}")
    return int("failed" in json.dumps(results))


def _write(results: dict[str, Any], folder: Path) -> None:
    """Write all results so far."""
    results.pop("goals", None)  # this section comes last
    results["goals"] = goals(results)
    (folder / "results.json").write_text(json.dumps(results, indent=1))
    (folder / "table.md").write_text(table(results) + "\n")
    if any("per_second" in run for run in results.get("throughput", {}).values() if isinstance(run, dict)):
        plot(results, folder / "throughput.png")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks", description="Copydesk, its peers and the limit."
    )
    parser.add_argument("--short", action="store_true", help="a few minutes instead of 20, and less exact")
    parser.add_argument("--documents", type=int, help="new documents a run")
    parser.add_argument("--runs", type=int, help="interleaved runs of each")
    parser.add_argument("--sections", nargs="+", choices=SECTIONS, default=SECTIONS)
    parser.add_argument("--contenders", nargs="+", default=[*LIMITS, "copydesk", "copydesk_all", *PEERS])
    parser.add_argument("--processes", nargs="+", type=int, default=scaling.PROCESSES, help="of the section scaling")
    parser.add_argument("--output", default="build/benchmarks")
    parser.add_argument("--plot", metavar="FILE", help="run nothing: draw the results in the output folder as a PNG")
    options = parser.parse_args()
    options.documents = options.documents or (1000 if options.short else 6000)
    options.runs = options.runs or (1 if options.short else 3)
    return options


def _medians(
    servers: Servers, database: str, runs: int, contenders: dict[str, Callable[[Setting], Run]]
) -> dict[str, Any]:
    found: dict[str, list[Run]] = {name: [] for name in contenders}
    failed: dict[str, str] = {}
    for _ in range(runs):
        for name, go in contenders.items():
            try:
                with servers.fresh(database) as setting:
                    found[name].append(go(setting))
            except Exception as error:
                traceback.print_exc()
                failed[name] = repr(error)[:500]
            else:
                print(
                    f"  {name}: {found[name][-1].per_second:,.0f}/s, {found[name][-1].cpu_micros:,.0f} µs", flush=True
                )
    return {name: _median(of) if of else {"failed": failed[name]} for name, of in found.items()}


def _median(runs: list[Run]) -> dict[str, Any]:
    middle = sorted(runs, key=lambda run: run.per_second)[len(runs) // 2]
    return {
        **asdict(middle),
        "per_second": statistics.median(run.per_second for run in runs),
        "cpu_micros": statistics.median(run.cpu_micros for run in runs),
        "megabytes": max((run.megabytes for run in runs), default=[]),
        "own_megabytes": max((run.own_megabytes for run in runs), default=[]),
    }


_SLOWER = 6


def _contender(name: str, documents: list[Document], warm: list[Document]) -> Callable[[Setting], Run]:
    if name in LIMITS:
        return lambda setting: limit(setting, documents, warm, keep=name == "limit_kept")
    if name.startswith("copydesk"):
        return lambda setting: throughput(Copydesk(setting, link=name.endswith("all")), documents, warm)
    if not name.endswith("batches"):
        # These are slower by an order of magnitude, so fewer documents suffice. Take them from the whole mix and not
        # from its beginning, because stories arrive in bursts.
        documents = Generator(1).documents(max(100, len(documents) // _SLOWER))
    return lambda setting: throughput(Peer(setting, name), documents, warm)


def _throughput(servers: Servers, documents: list[Document], warm: list[Document], options: argparse.Namespace) -> Any:
    contenders = {name: _contender(name, documents, warm) for name in options.contenders}
    return _medians(servers, "postgresql", options.runs, contenders)


def _sqlite(servers: Servers, documents: list[Document], warm: list[Document], options: argparse.Namespace) -> Any:
    names = [name for name in ("copydesk", "celery_afternoon", "celery_batches") if name in options.contenders]
    return _medians(servers, "sqlite", options.runs, {name: _contender(name, documents, warm) for name in names})


def _stages(servers: Servers, documents: list[Document], warm: list[Document], options: argparse.Namespace) -> Any:
    found = {}
    documents = Generator(1).documents(min(len(documents), 1000))
    updates = list(Generator(1).updates(documents, len(documents)))
    for database in ("postgresql", "sqlite"):
        with servers.fresh(database) as setting:
            bench = Bench(setting)
            bench.work(warm)
            bench.link()
            found[f"{database}, new"] = asdict(bench.costs(documents))
            found[f"{database}, updates"] = asdict(bench.costs(updates))
            bench.close()
    return found


def _latency(servers: Servers, documents: list[Document], warm: list[Document], options: argparse.Namespace) -> Any:
    found = {}
    for database in ("postgresql", "sqlite"):
        with servers.fresh(database) as setting:
            found[database] = sections.latency(setting, documents[: 60 if options.short else 250])
    return found


def _growth(servers: Servers, documents: list[Document], warm: list[Document], options: argparse.Namespace) -> Any:
    """Measure throughput into a large store. Stores are filled once and measured in turn; each run adds documents of its own.

    The first pass is longer and not counted. After a fill, and after each checkpoint, PostgreSQL reads each page and
    writes it to the log as a whole when it is used for the first time. A store that stays in use seldom does.
    """
    sizes = (0, 10_000) if options.short else (0, 100_000, 1_000_000)
    passes = [Generator(10 + number).documents(len(documents) // 2) for number in range(options.runs)]
    first = Generator(9).documents(2 * len(documents))
    runs: dict[int, list[Run]] = {size: [] for size in sizes}
    with contextlib.ExitStack() as stack:
        stores = {}
        for size in sizes:
            setting = stack.enter_context(servers.fresh("postgresql"))
            stores[size] = stack.enter_context(sections.grown(setting, size, warm))
        for contender, worker in stores.values():
            measured(contender, worker, first)
            sections.vacuum(contender.setting.database_url)
        for part in passes:
            for size, (contender, worker) in stores.items():
                run = measured(contender, worker, part)
                parts = ", ".join(f"{name} {used / run.documents * 1e6:,.0f}" for name, used in run.cpu.items())
                print(f"  {size:,} articles: {run.per_second:,.0f}/s, {run.cpu_micros:,.0f} µs ({parts})", flush=True)
                runs[size].append(run)
    return {f"{size:,} articles": _median(of) for size, of in runs.items()}


_FEWEST_BEFORE_A_BACKLOG = 600
"""Start a measurement between two batches."""


def _backlog(servers: Servers, documents: list[Document], warm: list[Document], options: argparse.Namespace) -> Any:
    sizes = (1_000, 30_000) if options.short else (10_000, 300_000)
    documents = Generator(1).documents(max(len(documents) // 2, _FEWEST_BEFORE_A_BACKLOG))
    runs = {f"{size:,} waiting": lambda setting, size=size: sections.behind(setting, size, documents) for size in sizes}
    return _medians(servers, "postgresql", options.runs, runs)


def _updates(servers: Servers, documents: list[Document], warm: list[Document], options: argparse.Namespace) -> Any:
    documents = Generator(1).documents(len(documents) // 2)
    updates = list(Generator(1).updates(documents, len(documents)))
    runs = {
        "new documents": lambda setting: throughput(Copydesk(setting), documents, warm),
        "their updates": lambda setting: sections.updated(setting, documents, updates),
    }
    lines = sections.history(3_000 if options.short else 8_000)
    if lines is not None:
        real = list(lines)
        runs["a real history"] = lambda setting: sections.replay(setting, real)
    return _medians(servers, "postgresql", options.runs, runs)


def _start(servers: Servers, documents: list[Document], warm: list[Document], options: argparse.Namespace) -> Any:
    return sections.start_up(3 if options.short else 10)


def _scaling(servers: Servers, documents: list[Document], warm: list[Document], options: argparse.Namespace) -> Any:
    every = scaling.documents(min(options.documents, scaling.DOCUMENTS))
    return scaling.scaling(
        servers, every, processes=options.processes, delays=scaling.DELAYS_MS, runs=1 if options.short else options.runs
    )


def _popular(servers: Servers, documents: list[Document], warm: list[Document], options: argparse.Namespace) -> Any:
    most = 50_000 if options.short else 300_000
    same = 10_000 if options.short else 60_000
    copies = {name: same if case.same_bytes else most for name, case in popular.CASES.items()}
    return popular.popular(servers, copies, runs=1 if options.short else options.runs)


_SECTIONS: dict[str, Callable[..., Any]] = {
    "throughput": _throughput, "sqlite": _sqlite, "stages": _stages, "latency": _latency, "growth": _growth,
    "backlog": _backlog, "updates": _updates, "start": _start, "scaling": _scaling, "popular": _popular,
}  # fmt: skip

if __name__ == "__main__":
    sys.exit(main())
