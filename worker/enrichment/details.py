"""Details that only some kinds of article have: typed values where possible, under the names of the document."""

from __future__ import annotations

from schemas.amounts import price_of
from schemas.article import Article
from schemas.kinds import Kind
from worker.enrichment.enriched_document import JsonObject
from worker.enrichment.titles import clean
from worker.enrichment.urls.canonical_urls import canonicalise, document_hash, url_hash


def details_of(article: Article) -> JsonObject:
    """Return the details of a document as they are stored in `articles.details`.

    They are `length` as written (its seconds have a column), `price` {text, amount, currency}, `levels`, `ratings`
    {average, count}, `items` as written (they are also stored as links of the kind `contains`), and the fields that
    only the kind's class declares.
    """
    details: JsonObject = {}
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


def item_hashes(items: list[object], source: str, key: str | None) -> list[bytes]:
    """Return the hashes of a collection's items, without repeats: `url_hash` for URLs, `document_hash` for paths.

    `items`: URLs, or paths of documents of the same source (see `item_key`). `key`: the collection's key. If it is None
    or a URL, because the producer gave no key, paths cannot be resolved and are left out.
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
    """Return the key of the document that `item` names in the collection with `key`.

    The item's path is relative to the parent of the collection's folder, and it gets the collection's file extension:
    `courses/first-steps` in `learning/collections/basics.md` is `learning/courses/first-steps.md`.
    """
    folder, slash, name = key.rpartition("/")
    root = folder.rpartition("/")[0]
    ending = name[dot:] if slash and (dot := name.rfind(".")) > 0 else ""
    return f"{root}/{item}{ending}" if root else f"{item}{ending}"
