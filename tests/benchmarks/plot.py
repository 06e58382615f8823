"""Draw the picture for the README: documents a second of each contender, and the limit apart, on PostgreSQL and on
SQLite.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_NAMES = {
    "limit": "The limit: parse, validate, COPY; no queue",
    "limit_kept": "The limit, with bytes and receipts kept",
    "copydesk": "Copydesk",
    "copydesk_all": "Copydesk, stories linked too",
    "celery_batches": "Celery, batches of 200, Core upserts",
    "faststream_batches": "FastStream, batches of 200, Core upserts",
    "celery_afternoon": "Celery, a task a document",
    "dramatiq_afternoon": "dramatiq, an actor a document",
    "rq_afternoon": "RQ, a job a document",
}
_INK, _FAINT, _OURS, _OURS_TOO, _PEERS = "#1f2328", "#6e7781", "#1a6fd4", "#7db4ef", "#b4bcc4"
_WIDTH_INCHES, _ROW_INCHES, _DOTS = 8, 0.3, 200


def plot(results: dict[str, Any], path: Path) -> None:
    """Draw the sections `throughput` and `sqlite` of `results`, if they are there."""
    from matplotlib.figure import Figure

    panels = [
        (title, rates)
        for title, section in (("PostgreSQL", "throughput"), ("SQLite", "sqlite"))
        if (rates := _rates(results.get(section, {})))
    ]
    rows = [len(rates) for _, rates in panels]
    head, foot = 0.95, 0.15
    height = head + foot + sum(rows) * _ROW_INCHES + 0.4 * (len(rows) - 1)
    figure = Figure(figsize=(_WIDTH_INCHES, height), facecolor="white")
    grid = figure.add_gridspec(
        len(panels), 1, height_ratios=rows, left=0.4, right=0.93, top=1 - head / height, bottom=foot / height,
        hspace=0.4 * len(rows) / (sum(rows) * _ROW_INCHES),
    )  # fmt: skip
    most = max(rate for _, rates in panels for _, rate in rates)
    for number, (title, rates) in enumerate(panels):
        _bars(figure.add_subplot(grid[number]), title, rates, most)
    figure.text(0.02, 1 - 0.3 / height, "Documents a second", size=15, weight="bold", color=_INK, va="center")
    caption = "from the first one queued to the last commit; two worker processes (Copydesk three), all servers on the same two cores"
    figure.text(0.02, 1 - 0.58 / height, caption, size=9.5, color=_FAINT, va="center")
    figure.savefig(path, dpi=_DOTS)


def _rates(section: dict[str, Any]) -> list[tuple[str, float]]:
    """Return (contender, documents a second): the limit first, then the fastest."""
    runs = [(name, one["per_second"]) for name, one in section.items() if isinstance(one, dict) and "per_second" in one]
    return sorted(runs, key=lambda one: (not one[0].startswith("limit"), -one[1]))


def _bars(axes: Axes, title: str, rates: list[tuple[str, float]], most: float) -> None:
    for row, (name, rate) in enumerate(rates):
        ours, limit = name.startswith("copydesk"), name.startswith("limit")
        colour = "white" if limit else _OURS if name == "copydesk" else _OURS_TOO if ours else _PEERS
        axes.barh(row, rate, height=0.68, color=colour, edgecolor=_FAINT if limit else colour, linewidth=1,
                  linestyle=(0, (3, 2)) if limit else "solid")  # fmt: skip
        ink, weight = (_FAINT if limit else _INK), ("bold" if ours else "normal")
        axes.text(rate + most * 0.01, row, f"{rate:,.0f}", va="center", size=10.5, color=ink, weight=weight)
        axes.text(
            -most * 0.012, row, _NAMES.get(name, name), va="center", ha="right", size=10.5, color=ink, weight=weight
        )
    axes.set_xlim(0, most * 1.02)
    axes.set_ylim(len(rates) - 0.4, -0.6)
    axes.axvline(0, color=_FAINT, linewidth=1)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    axes.annotate(title, (0, 1), (4, 3), xycoords="axes fraction", textcoords="offset points", size=10.5,
                  color=_FAINT, weight="bold")  # fmt: skip
