"""The setting and the rules of heat have one grammar."""

from __future__ import annotations

import pytest

from worker.heat_rules import AllRules, HeatRules, parse_rules
from worker.settings import Settings


@pytest.mark.parametrize(
    "text", ["20/50", "a=1/2/3/4", "-1/2/3", "1/2/x", "=1/2/3", "١/٢/٣", "1234567/1/1", "a=b=1/2/3"]
)
def test_setting_and_rules_refuse_the_same_texts(text, monkeypatch):
    monkeypatch.setenv("COPYDESK_HEAT", text)
    for read in (lambda: parse_rules(text), Settings):
        with pytest.raises(ValueError, match="is not bonus/floor/threshold such as 20/50/70"):
            read()


def test_the_setting_gives_the_rules(monkeypatch):
    monkeypatch.setenv("COPYDESK_HEAT", "1/2/3, ai=10/50/60")
    assert Settings().heat_rules == AllRules(HeatRules(1, 2, 3), {"ai": HeatRules(10, 50, 60)}, configured=True)
