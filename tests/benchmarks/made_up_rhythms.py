"""Made-up rhythms of sources, for the benchmark of silent sources and its test: name → arrivals from a chance."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable

HOUR = 3600
DAY = 24 * HOUR
BEGIN = 1_700_438_400
"""A Monday, 00:00 UTC."""
DAYS = 180

Rhythm = Callable[[random.Random], list[float]]


def _poisson(chance: random.Random, rate: Callable[[float], float], most: float) -> list[float]:
    """Return arrivals with a `rate` an hour, which depends on the hours since BEGIN and is never above `most`."""
    at, times = 0.0, list[float]()
    while (at := at + chance.expovariate(most)) < DAYS * 24:
        if chance.random() * most < rate(at):
            times.append(BEGIN + at * HOUR)
    return times


def _is_office(hour: float, first: float = 8, last: float = 18) -> bool:
    return hour // 24 % 7 < 5 and first <= hour % 24 < last


def _bursts(chance: random.Random) -> list[float]:
    """Dozens of documents within days when something happens, then nothing for days or for weeks."""
    at, times = 0.0, list[float]()
    while at < DAYS * 24:
        end = at + chance.expovariate(1 / 36)
        while (at := at + chance.expovariate(2)) < end:
            times.append(BEGIN + at * HOUR)
        at = end + 24 * chance.paretovariate(1.2)
    return times


def _events(chance: random.Random) -> list[float]:
    """Two documents a day at any time, and on some days thirty within six hours."""
    times = [BEGIN + chance.uniform(0, DAYS) * DAY for _ in range(2 * DAYS)]
    for _ in range(DAYS // 6):
        begin = BEGIN + chance.uniform(0, DAYS) * DAY
        times += [begin + chance.uniform(0, 6) * HOUR for _ in range(30)]
    return times


def _daily(first: float, last: float, documents: int, days: Iterable[int]) -> Rhythm:
    """Return a rhythm of some documents on each of `days`, between two hours of the day."""
    return lambda chance: [
        BEGIN + day * DAY + chance.uniform(first, last) * HOUR for day in days for _ in range(documents)
    ]


def _two_crawlers(chance: random.Random) -> list[float]:
    """One sends every two hours and ends after four months; the other sends in office hours."""
    regular = [BEGIN + number * 2 * HOUR + chance.uniform(0, 300) for number in range(12 * 120)]
    return regular + _poisson(chance, lambda hour: 1.5 * _is_office(hour), 1.5)


RHYTHMS: dict[str, Rhythm] = {
    "every quarter of an hour": lambda chance: _poisson(chance, lambda hour: 4, 4),
    "once a day": _daily(0, 24, 1, range(DAYS)),
    "once a week": lambda chance: [BEGIN + chance.uniform(0, 700) * DAY for _ in range(100)],
    "a dozen once a week": _daily(0, 3, 12, range(0, DAYS, 7)),
    "a dozen once a month": _daily(0, 10, 12, range(0, 2 * DAYS, 30)),
    "working days": _daily(9, 11, 1, [day for day in range(DAYS) if day % 7 < 5]),
    "silent at night": _daily(7, 23, 6, range(DAYS)),
    "often, but silent at night": lambda chance: _poisson(chance, lambda hour: 2 * (7 <= hour % 24 < 23), 2),
    "office hours": lambda chance: _poisson(chance, _is_office, 1),
    "office hours that change": lambda chance: _poisson(
        chance, lambda hour: _is_office(hour, 8, 16) if hour < DAYS * 12 else _is_office(hour, 14, 22), 1
    ),
    "events": _events,
    "bursts": _bursts,
    "seasons": lambda chance: _poisson(chance, lambda hour: 0.5 if hour // 504 % 2 == 0 else 0.04, 0.5),
    "slow decline": lambda chance: _poisson(chance, lambda hour: 0.5 ** (hour / 1080), 1),
    "growing": lambda chance: _poisson(chance, lambda hour: min(4, 0.02 * 2 ** (hour / 1080)), 4),
    "suddenly slower": lambda chance: _poisson(chance, lambda hour: 1 if hour < DAYS * 12 else 0.08, 1),
    "suddenly faster": lambda chance: _poisson(chance, lambda hour: 0.08 if hour < DAYS * 12 else 1, 1),
    "two crawlers": _two_crawlers,
}


def arrivals(name: str, seed: int) -> list[float]:
    """Return the times of the documents of a rhythm, in seconds since 1970 and in order."""
    return sorted(RHYTHMS[name](random.Random(f"{name} {seed}")))
