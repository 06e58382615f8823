"""What only some kinds have: typed where it can be read, under its name on the wire."""

from __future__ import annotations

from typing import Any

from schemas.amounts import price_of
from schemas.article import Article
from schemas.kinds import Kind
from worker.enrichment.canonical_urls import canonicalise, document_hash, url_hash
from worker.enrichment.titles import clean


def details_of(article: Article) -> dict[str, Any]:
    """The details of a document, as they stand in `articles.details`.

    `length` as written (its seconds have a column), `price` {text, amount, currency}, `levels`, `ratings` {average, count},
    `items` as written (as links they `contain`), and what the kind's class has of its own.
    """
    details: dict[str, Any] = {}
    if article.length:
        details["length"] = article.length
    if article.price:
        price = price_of(article.price)
        amounts = {"amount": price.amount, "currency": price.currency} if price else {}
        details["price"] = {"text": article.price, **amounts}
    if article.levels:
        details["levels"] = list(dict.fromkeys(filter(None, map(clean, article.levels))))
    if article.ratings:
        details["ratings"] = article.ratings.model_dump(mode="json", exclude_none=True)
    if article.items:
        details["items"] = article.items
    if isinstance(article, Kind) and article.own:
        own = article.model_dump(mode="json", include=_own_fields(type(article)), exclude_none=True)
        details.update(own)
    return {name: value for name, value in details.items() if value not in ({}, [])}


def _own_fields(kind: type[Kind]) -> set[str]:
    return {name for name in kind.model_fields if name not in Article.model_fields}


def item_hashes(items: list[Any], source: str, key: str | None) -> list[bytes]:
    """What the items of a collection name, each once: the hash of a URL, or of a document of the same source.

    An item that is no URL names a document by its key, below the folder above the collection's own and with its ending:
    `courses/first-steps` in `learning/collections/basics.md` is `learning/courses/first-steps.md`. Where the key is the
    article's own URL, because none was given, there is no folder.
    """
    hashes: dict[bytes, None] = {}
    for item in items:
        if not isinstance(item, str) or not item.strip():
            continue
        name = item.strip()
        if _is_url(name):
            hashes[url_hash(canonicalise(name))] = None
        elif key is not None and not _is_url(key):
            hashes[document_hash(source, item_key(key, name))] = None
    return list(hashes)


def _is_url(text: str) -> bool:
    return text[:8].lower().startswith(("http://", "https://"))


def item_key(key: str, item: str) -> str:
    """The key of the document that `item` of the collection `key` names."""
    folder, slash, name = key.rpartition("/")
    root = folder.rpartition("/")[0]
    ending = name[dot:] if slash and (dot := name.rfind(".")) > 0 else ""
    return f"{root}/{item}{ending}" if root else f"{item}{ending}"
