"""The numbers of the rules of heat, as `COPYDESK_HEAT` gives them; `worker.enrichment.heat` applies them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

_PART = re.compile(r"(?:([^=,]+)=)?([0-9]{1,6})/([0-9]{1,6})/([0-9]{1,6})")


@dataclass(frozen=True, slots=True)
class HeatRules:
    """The numbers of the rules: they differ from collection to collection."""

    bonus: int = 20
    floor: int = 50
    threshold: int = 70


@dataclass(frozen=True, slots=True)
class AllRules:
    """The rules for every source. `configured`: the operator set the common ones, so that a difference is worth a warning."""

    common: HeatRules = HeatRules()
    by_source: Mapping[str, HeatRules] = field(default_factory=dict)
    configured: bool = False

    def of(self, source: str) -> HeatRules:
        """The rules for a source."""
        return self.by_source.get(source, self.common)

    def warns(self, source: str) -> bool:
        """Whether what a source reports is to be compared with them."""
        return self.configured or source in self.by_source


def parse_rules(text: str) -> AllRules:
    """`20/50/70,ai=10/50/60` → bonus, floor and threshold for all sources, and for the source `ai`.

    Raises ValueError with a sentence.
    """
    common, by_source = None, {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        match = _PART.fullmatch(part)
        if match is None:
            raise ValueError(f"{part!r} is not bonus/floor/threshold such as 20/50/70")
        source, *numbers = match.groups()
        rules = HeatRules(*map(int, numbers))
        if source:
            by_source[source] = rules
        else:
            common = rules
    return AllRules(common or HeatRules(), by_source, configured=common is not None)


__all__ = ["AllRules", "HeatRules", "parse_rules"]
