"""The language of an article: from its locale, else detected from its text if the detection is certain."""

from __future__ import annotations

import functools
import re
from collections import Counter
from collections.abc import Callable

_PRIMARY = re.compile(r"[a-z]{2,3}")
_NOISE = re.compile(r"https?://\S+|www\.\S+|[@#]\S+|(?<![\w.])[\w.]++@[\w.]+|[\d_]+")
_ADDRESS_SIGNS = ("@", "#", "://", "www.")  # without these, `_NOISE` matches only digits: no words
_WORD = re.compile(r"[^\W\d_]+")
_MOST = 400  # characters that are read; more change no result
_LEAST = 40  # letters that are needed; names and short titles are ambiguous
_LEAST_DENSE = 12  # letters that are needed of scripts in which a letter is a word or a syllable
_SURE = 0.99  # probability that the classifier must reach
_LEAST_COMMON = 2  # different common words that a text in Latin letters must contain
_PLAIN = 4  # different common words that, with a seventh of all words, prove English

_COMMON = {
    name: frozenset(words.split())
    for name, words in {
        "en": "the and of to in is for on that with are as at by from it this be or an has have was will you your not its how "
        "can more they their his he we our about been but which who what all when than into after over out up",
        "de": "der die das und ist nicht mit für ein eine den von zu auf sich im dem wie auch zur wird wir sind kein",
        "fr": "le la les des et est une un du pour dans que qui sur pas avec par au aux sont plus nous vous ce cette",
        "es": "el la los las de que y en un una es por con para del se no al lo como más sus su son este esta",
        "pt": "o a os as de que e em um uma é do da no na por com para dos das não se mais ao pelo você como esse",
        "it": "il lo la gli le di che e è un una per con del della dei non si in da nel nella sono più anche come alla",
        "nl": "de het een en van is dat niet op te met voor zijn aan door ook naar bij maar wordt deze dit uit",
        "sv": "och att det som en på är av för med den till inte om ett har jag vi kan från ska under ett",
        "da": "og at det som en på er af for med den til ikke om et har jeg vi kan fra skal der de",
        "no": "og at det som en på er av for med den til ikke om et har jeg vi kan fra skal der de",
        "fi": "ja on ei se että oli hän mutta kun niin kuin ovat myös joka tai sen jos mitä olla",
        "pl": "i w na z się do nie jest że o to jak po za od dla przez ale są tym czy który oraz na",
        "cs": "a je na se v že to s z do pro jako o k ale by jsou po od při jeho které nebo",
        "tr": "ve bir bu için ile da de ne çok daha gibi olarak olan kadar sonra ise mı değil en",
        "ro": "și de la în cu pe este un o care nu pentru din mai că au fost sau se prin sunt",
        "hu": "a az és hogy nem is egy ez meg de van volt ki csak mint vagy be még el",
        "id": "yang dan di dengan untuk dari ini itu pada adalah tidak dalam akan ke juga atau bisa",
        "ca": "el la els les de que i en un una és per amb del no al més com dels",
        "vi": "và của là có cho không được với các một trong người này để những khi",
    }.items()
}
"""Common words that every longer text of a language contains. The classifier alone is too certain about names: it
reports Italian for a list of characters of a game. So a text in Latin letters must also contain some of these words."""
_ANY_COMMON = frozenset().union(*_COMMON.values())
_OTHER_SCRIPTS = frozenset({"ar", "bg", "el", "fa", "he", "hi", "ja", "ko", "ru", "th", "uk", "zh"})
"""Languages in other scripts than Latin that can be detected. Other languages in such scripts are never reported."""


def language_of(locale: str | None) -> str | None:
    """Return the primary subtag of a locale (BCP 47: `en-US` → `en`; `en_US` is accepted too), or None."""
    primary = (locale or "").strip().lower().replace("_", "-").partition("-")[0]
    return primary if _PRIMARY.fullmatch(primary) else None


def language_of_text(text: str) -> str | None:
    """Return the ISO 639-1 code of the language of a text, or None if it is not certain."""
    text = text[:_MOST]
    if any(sign in text for sign in _ADDRESS_SIGNS):
        text = _NOISE.sub(" ", text)
    words = _WORD.findall(text.lower())
    alphabetic = sum(map(len, words))
    if alphabetic < _LEAST_DENSE:
        return None
    if _is_plain_english(words):
        return "en"
    candidates = _latin_candidates(words)
    foreign = 0 if text.isascii() else _non_latin_characters(words)
    dense = foreign >= _LEAST_DENSE and foreign * 2 > alphabetic
    if not dense and (alphabetic < _LEAST or not candidates):
        return None  # no result of the classifier would be accepted
    found, probability = _scorer()(" ".join(_NOISE.sub(" ", text).split()))
    if probability < _SURE:
        return None
    if found in _OTHER_SCRIPTS:
        return found if dense else None
    return found if alphabetic >= _LEAST and found in candidates else None


def _latin_candidates(words: list[str]) -> list[str]:
    """Return the languages in Latin letters of which the text contains enough common words."""
    common = _ANY_COMMON.intersection(words)
    if len(common) < _LEAST_COMMON:
        return []
    return [name for name, own in _COMMON.items() if len(common & own) >= _LEAST_COMMON]


def _non_latin_characters(words: list[str]) -> int:
    """Return the number of letters in words that are not in Latin script."""
    return sum(len(word) for word in words if word[0] > "\u036f")


def _is_plain_english(words: list[str]) -> bool:
    """Return whether the text is certainly English. This holds for 19 of 20 texts and saves 300 µs of classifying."""
    common = [word for word in words if word in _COMMON["en"]]
    return len(common) * 7 >= len(words) and len(set(common)) >= _PLAIN


def load() -> None:
    """Load the classifier. A worker calls this before it forks, so that its processes share the memory."""
    _scorer()


@functools.cache
def _scorer() -> Callable[[str], tuple[str, float]]:
    """Return the classifier: a function from a text to (language, probability).

    It uses the model of py3langid, which is loaded at the first call (0.3 s, 12 MB, and 16 MB for numpy). The model is
    naive Bayes over byte n-grams that one automaton finds (Lui and Baldwin 2012, https://aclanthology.org/P12-3005). It
    is used directly, because `classify` multiplies the whole table for each text and starts threads.
    """
    import numpy as np
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    model = LanguageIdentifier.from_pickled_model(MODEL_FILE)
    following, output, table, prior = model.tk_nextmove, model.tk_output, model.nb_ptc, model.nb_pc
    names = list(model.nb_classes)

    def score(text: str) -> tuple[str, float]:
        state, states = 0, []
        for byte in text.encode("utf-8", "surrogatepass"):
            state = following[(state << 8) + byte]
            states.append(state)
        features: Counter[int] = Counter()
        for state, times in Counter(states).items():
            for feature in output.get(state, ()):
                features[feature] += times
        if not features:
            return "", 0.0
        counts = np.fromiter(features.values(), dtype=table.dtype, count=len(features))
        rows = table[np.fromiter(features, dtype=np.intp, count=len(features))]
        # Not `@`, because BLAS would start threads. They cost milliseconds on shared cores.
        scores = (rows * counts[:, None]).sum(axis=0) + prior
        best = int(scores.argmax())
        # The softmax probability of the best class. The bound keeps `exp` from underflowing for distant classes.
        return names[best], 1.0 / float(np.exp(np.maximum(scores - scores[best], -700.0)).sum())

    return score
