"""Compare one run of the benchmark with its goals. Figures are ratios of medians; nothing here is a test."""

from __future__ import annotations

from typing import Any

PEERS_IN_BATCHES = ("celery_batches", "faststream_batches")


def goals(results: dict[str, Any]) -> dict[str, tuple[str, str, str]]:
    """Return name → (measured value, goal, yes or NO). Goals that were not measured are left out."""
    found: dict[str, tuple[str, str, str]] = {}

    def at_least(name: str, over: float | None, under: float | None, required: float) -> None:
        if over and under:
            found[name] = (f"{over / under:.2f}", f"≥ {required:g}", "yes" if over / under >= required else "NO")

    def at_most(name: str, value: float | None, required: float) -> None:
        if value is not None:
            found[name] = (f"{value:.2f}", f"≤ {required:g}", "yes" if value <= required else "NO")

    def rate(section: str, name: str) -> float | None:
        one = results.get(section, {}).get(name, {})
        return one.get("per_second") if isinstance(one, dict) else None

    limit, copydesk, naive_celery = (rate("throughput", name) for name in ("limit", "copydesk", "celery_afternoon"))
    others = [value for name in results.get("throughput", {}) if not name.startswith(("copydesk", "limit", "celery_after"))
              if (value := rate("throughput", name))]  # fmt: skip
    at_least("the first peer, of the limit", naive_celery, limit, 0.04)
    at_least("the best advised peer, of the limit", rate("throughput", "celery_batches"), limit, 0.35)
    at_least("Copydesk, of the limit", copydesk, limit, 0.6)
    at_least("Copydesk, times the afternoon's Celery", copydesk, naive_celery, 10)
    at_least("Copydesk, times the best other peer", copydesk, max(others, default=None), 1.6)
    at_least("all stages on, times the afternoon's Celery", rate("throughput", "copydesk_all"), naive_celery, 8)
    at_least("SQLite, times the afternoon's Celery", rate("sqlite", "copydesk"), rate("sqlite", "celery_afternoon"), 8)
    new = rate("updates", "new documents")
    at_least("a real history, times new documents", rate("updates", "a real history"), new, 2)
    for database, one in results.get("latency", {}).items():
        if isinstance(one, dict) and "p50" in one:
            at_most(f"latency on {database}, p50 ms", one["p50"], 25)
            at_most(f"latency on {database}, p99 ms", one["p99"], 100)
    sizes = sorted(
        results.get("growth", {}), key=lambda name: int(name.split()[0].replace(",", "")) if name[:1].isdigit() else 0
    )
    if len(sizes) > 1:
        at_least(f"{sizes[-1]}, of {sizes[0]}", rate("growth", sizes[-1]), rate("growth", sizes[0]), 0.9)
    waiting = list(results.get("backlog", {}))
    if len(waiting) > 1:
        at_least(f"{waiting[-1]}, of {waiting[0]}", rate("backlog", waiting[-1]), rate("backlog", waiting[0]), 0.95)
    megabytes = results.get("throughput", {}).get("copydesk", {}).get("megabytes")
    at_most("largest worker process, MB", max(megabytes) if megabytes else None, 150)
    for words, required in (("copydesk --help", 0.35), ("copydesk check", 0.6)):
        at_most(f"{words}, seconds", results.get("start", {}).get(words), required)
    return found
