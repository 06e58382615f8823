"""Language: stored only when it is certain."""

import pytest

from worker.enrichment.language import language_of, language_of_text


@pytest.mark.parametrize(
    ("locale", "language"), [("en-US", "en"), ("de_AT", "de"), ("PT", "pt"), ("", None), ("?", None), (None, None)]
)
def test_a_stated_locale_gives_the_language(locale, language):
    assert language_of(locale) == language


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("The ferry is back in the harbour, and it will sail on Monday with a new crew.", "en"),
        ("New engine for small boats: makers say that it runs on rape oil and needs no key.", "en"),
        ("Die Fähre liegt wieder im Hafen und fährt am Montag mit einer neuen Mannschaft.", "de"),
        ("A balsa voltou ao porto e na segunda-feira já navega com uma nova tripulação.", "pt"),
        ("Le bac est de retour au port et partira lundi avec un nouvel équipage pour les îles.", "fr"),
        ("Паром снова стоит в гавани и в понедельник выйдет в море с новой командой.", "ru"),
        ("渡し船が港に戻り、月曜日に新しい乗組員とともに出航します。", "ja"),
        ("Blizzard Druid Barbarian Sorceress Gameplay Demo Trailer 2019 4K HDR", None),
        ("Maurizio Benedetti, Karlsruhe", None),
        ("Harbour", None),
        ("https://harbour.example/die/der/das #und @nicht 2020 2021 2022 2023 2024 2025 2026", None),
        ("", None),
    ],
)
def test_the_language_of_a_text_is_detected_when_certain(text, language):
    assert language_of_text(text) == language
