"""Whether a title announces a text of reference: a guide, a list, the answer to a question, or a market report.

Such texts resemble each other but report no event: ten sites publish "Best builds of the rogue". (Measured: of 97 judged
pairs of similar articles with such a title 22 report one event, of 752 other pairs 717.) English only.
"""

from __future__ import annotations

import re

# The patterns are for case-folded titles: to ignore the case takes four times as long.
_PHRASE = re.compile(
    r"""
    \b(?:how\ to|how\ (?:do|does|can)\ (?:i|you|we)|guides?|tutorials?|tips|tricks|cheat\ sheet|walk-?through
    |explained|explainer|tier\ list|step[\ -]by[\ -]step|getting\ started|for\ beginners|beginner['’]?s|faqs?|worth\ it
    |everything\ (?:you|we)|all\ you\ need|(?:what|things)\ (?:you|we)\ (?:need|should|must|have|can|know)
    |(?:you|we)\ need\ to\ know|what\ to\ know|what\ we\ know|ways\ to)\b
    """,
    re.VERBOSE,
)
_START = re.compile(
    r"""
    (?:^|[:|–—-]\s+)\W*
    (?:(?:the\ )?(?:top\ )?(?:\d+\ )?best\b
    |(?:the\ )?top\ \d+\b
    |\d+\ (?:\w+\ )?(?:ways|things|tips|reasons|facts|questions|steps|examples)\b
    |(?:an?\ )?(?:introduction|intro)\ to\b
    |what\ (?:is|are)\b
    |why\b
    |(?:is|are|can|could|will|would|does|do|did|should|what|which|when|where|who|how)\b[^?]*\?)
    """,
    re.VERBOSE,
)
"""The beginning of a title, or of its part after a colon or a dash."""
_MARKET = re.compile(r"\bmarkets?\b")
_MARKET_WORD = re.compile(
    r"\b(?:forecasts?|size|share|growth|outlook|cagr|analysis|trends?|industry|opportunit(?:y|ies)|report|research"
    r"|segment(?:s|ation)|demand|20[1-3]\d|global)\b"
)
_MAX_CHARACTERS = 300  # the patterns take time that grows with the square of a title's length
_MIN_MARKET_WORDS = 2  # "Job market growth slows" is news


def is_reference(title: str | None) -> bool:
    """Whether a title announces a text of reference."""
    if not title:
        return False
    title = title[:_MAX_CHARACTERS].casefold()
    if _PHRASE.search(title) or _START.search(title):
        return True
    return bool(_MARKET.search(title)) and len(set(_MARKET_WORD.findall(title))) >= _MIN_MARKET_WORDS
