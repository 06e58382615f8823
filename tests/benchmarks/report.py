"""Format results as tables."""

from __future__ import annotations

from typing import Any

from tests.benchmarks.scaling import ratios

NAMES = {
    "limit": "the limit: parse, validate, COPY; no queue",
    "limit_kept": "the limit, and what must be kept of each document: its raw bytes and a receipt",
    "copydesk": "Copydesk",
    "copydesk_all": "Copydesk, with similar articles and stories",
    "celery_batches": "Celery, batches and Core upserts",
    "faststream_batches": "FastStream, batches and Core upserts",
    "celery_afternoon": "Celery, a task a document",
    "dramatiq_afternoon": "dramatiq, an actor a document",
    "rq_afternoon": "RQ, a job a document",
}


def table(results: dict[str, Any]) -> str:
    """Return all sections as Markdown."""
    return "\n\n".join(
        f"### {name}\n\n{_section(name, found)}" for name, found in results.items() if isinstance(found, dict)
    )


def _section(name: str, found: dict[str, Any]) -> str:
    lost = [f"{key} failed: {one['failed']}" for key, one in found.items() if isinstance(one, dict) and "failed" in one]
    if "failed" in found:
        return f"failed: {found['failed']}"
    found = {key: one for key, one in found.items() if not (isinstance(one, dict) and "failed" in one)}
    return "\n".join([_table(name, found), *lost])


def _table(name: str, found: dict[str, Any]) -> str:
    if name == "goals":
        return _rows(("", "is", "asked", ""), [(key, *one) for key, one in found.items()])
    if name == "stages":
        return _stages(found)
    if name == "latency":
        return _rows(
            ("", "p50 ms", "p99 ms"), [(key, f"{one['p50']:.1f}", f"{one['p99']:.1f}") for key, one in found.items()]
        )
    if name == "scaling":
        return _scaling(found)
    if name == "popular":
        return _popular(found)
    if name == "start":
        return _rows(("", "seconds"), [(key, f"{seconds:.2f}") for key, seconds in found.items()])
    limit = found.get("limit")
    rows = []
    for key, run in found.items():
        share = f"{run['per_second'] / limit['per_second']:.0%}" if limit else ""
        cpu_share = f"{limit['cpu_micros'] / run['cpu_micros']:.0%}" if limit and run["cpu_micros"] else ""
        memory = f"{max(run['megabytes']):.0f} ({max(run['own_megabytes']):.0f})" if run["megabytes"] else ""
        rows.append(
            (NAMES.get(key, key), f"{run['per_second']:,.0f}", share, f"{run['cpu_micros']:,.0f}", cpu_share, memory)
        )
    return _rows(
        (
            "",
            "documents/s",
            "of the limit",
            "CPU µs a document",
            "of the limit, by CPU",
            "largest process, peak MB (its own)",
        ),
        rows,
    )


def _scaling(found: dict[str, Any]) -> str:
    rows = [
        (
            key,
            f"{run['per_second']:,.0f}",
            f"{run['cpu_micros']:,.0f}",
            f"{run['lock_ms']:.0f}",
            f"{run['work_seconds']:.1f}",
        )
        for key, run in found.items()
    ]
    head = ("", "documents/s", "CPU µs a document", "median ms under the lock", "s of work after the last outcome")
    shares = [(key, f"{ratio:.2f}") for key, ratio in ratios(found).items()]
    return "\n\n".join([_rows(head, rows), _rows(("", "ratio"), shares)])


def _popular(found: dict[str, Any]) -> str:
    rows = [
        (key, f"{one['few_ms']:.0f}", f"{one['many_ms']:.0f}", f"{one['ratio']:.1f}", f"{one['wall_ms']:.0f}",
         f"{one['steps']}", f"{one['work_seconds']:.1f}", f"{one['longest_step_ms']:.0f}")
        for key, one in found.items()
    ]  # fmt: skip
    head = (
        "",
        "CPU ms a batch, few rows",
        "many",
        "ratio",
        "ms by the clock",
        "steps after it",
        "seconds",
        "longest step, ms",
    )
    return _rows(head, rows)


def _stages(found: dict[str, Any]) -> str:
    names = ("read", "recognise", "parse", "validate", "enrich", "prepare", "load", "decide", "write", "settle", "link")
    columns = [name for name in names if any(name in one["micros"] for one in found.values())]
    rows = [
        (
            key,
            *(f"{one['micros'].get(name, 0):,.0f}" for name in columns),
            f"{one['database']:,.0f}",
            f"{one['statements']:.0f}",
            f"{one['redis_trips']:.0f}",
        )
        for key, one in found.items()
    ]
    return _rows(("CPU µs a document", *columns, "database", "statements a batch", "scripts a batch"), rows)


def _rows(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [head, ("---", *["--:"] * (len(head) - 1)), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
