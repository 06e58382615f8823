"""The parameters of the heat rules, parsed from `COPYDESK_HEAT`. `worker.enrichment.heat` applies them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

_PART = re.compile(r"(?:([^=,]+)=)?([0-9]{1,6})/([0-9]{1,6})/([0-9]{1,6})")


@dataclass(frozen=True, slots=True)
class HeatRules:
    """The parameters of the heat rules for a source. Collections use different values.

    `bonus`: heat added for each related article, if the quality is at least `floor`. `threshold`: heat from which an
    article is published.
    """

    bonus: int = 20
    floor: int = 50
    threshold: int = 70


@dataclass(frozen=True, slots=True)
class AllRules:
    """The rules of all sources. `configured`: the operator set the common rules, so reported values are compared."""

    common: HeatRules = HeatRules()
    by_source: Mapping[str, HeatRules] = field(default_factory=dict)
    configured: bool = False

    def of(self, source: str) -> HeatRules:
        """Return the rules of a source."""
        return self.by_source.get(source, self.common)

    def warns(self, source: str) -> bool:
        """Return whether to warn (`heat_differs`) if the values that a source reports differ from the rules."""
        return self.configured or source in self.by_source


DEFAULT_RULES = AllRules()
"""The rules without a setting."""


def parse_rules(text: str) -> AllRules:
    """Parse `20/50/70,ai=10/50/60`: bonus, floor and threshold of all sources, then of the source `ai`.

    Raises ValueError with a sentence for the user.
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


__all__ = ["DEFAULT_RULES", "AllRules", "HeatRules", "parse_rules"]
