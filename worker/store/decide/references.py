"""What reference documents say, as the rows of articles need it. Pure: no I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from worker.enrichment.providers import ProviderRef
from worker.enrichment.titles import strip_provider_suffix
from worker.enrichment.topics import TopicFinder


@dataclass(frozen=True, slots=True)
class References:
    """The content of all reference documents. `token`: another one after each change of them; None: there are none.

    `names`: domain → all names of its organization. `finder`: finds topics by their keywords.
    """

    token: str | None = None
    names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    finder: TopicFinder = field(default_factory=lambda: TopicFinder({}))

    def title(self, title: str | None, provider: ProviderRef | None) -> str | None:
        """Return a title without its provider's name at the end."""
        for name in self.names.get(provider.domain, ()) if title and provider else ():
            title = strip_provider_suffix(title or "", name, None)
        return title
