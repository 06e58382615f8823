"""A store of plain dictionaries: it loads what a decision asks for and applies change sets, without a database."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime

from worker.documents.limits import Limits
from worker.enrichment.enriched_document import ImageRef
from worker.enrichment.heat import Peer, article_heat
from worker.enrichment.image_choice import best_image, is_placeholder
from worker.enrichment.providers import choose_name, other_names
from worker.enrichment.reference_documents import References, reference_from_form
from worker.enrichment.topics import TopicFinder
from worker.enrichment.urls.canonical_urls import document_hash, url_hash
from worker.heat_rules import AllRules
from worker.pipeline import Batch, open_entry, read_version
from worker.store.columns import metadata
from worker.store.decide import stored as rows
from worker.store.decide.change_set import ChangeSet, Operation
from worker.store.decide.decision import ChangedDocument, Context, decide, decide_rows
from worker.store.decide.documents import DocumentChanges, changed_together

_LISTS = ("keywords", "other_names")
LIMITS, RULES = Limits(), AllRules()


class MemoryStore:
    """`tables`: name → key → row. `step`: how many documents one retraction of a URL reaches at once."""

    def __init__(self, step=1000):
        self.tables = {name: {} for name in metadata.tables}
        self.keys = {
            name: tuple(column.name for column in table.primary_key) for name, table in metadata.tables.items()
        }
        self.step = step
        self.ticks = 0
        self.loads = 0

    def rows(self, table):
        return self.tables[table].values()

    @property
    def references(self):
        tokens = [row["token"] for row in self.rows("reference_state")]
        referred = [row for row in self.rows("providers") if row["document_id"] is not None]
        forms = {row["domain"]: self.tables["documents"][row["document_id"],]["form"] for row in referred}
        copies = {domain: reference_from_form(form) for domain, form in forms.items()}
        keywords = {row["slug"]: row["keywords"] for row in self.rows("topics") if row["document_id"] is not None}
        return References(
            tokens[0] if tokens else None,
            {domain: (one.name, *one.other_names) for domain, one in copies.items()},
            TopicFinder(keywords),
        )

    # The loads

    def documents(self, keys):
        self.loads += 1
        retractions = {(source, url_hash): before for source, url_hash, before in keys.retractions}
        found = {row["doc_hash"]: self._document(row) for row in self.rows("documents")}
        reached = [
            row for row in found.values()
            if not row.retracted and row.revision < retractions.get((row.source, row.article_hash), "")
        ]  # fmt: skip
        return rows.StoredDocuments(
            now=datetime.fromtimestamp(2_000_000_000 + self.ticks, UTC),
            next_ids={name: self._next(name) for name in ("documents", "articles", "providers", "topics")},
            references=self.references,
            receipts={
                key: rows.ReceiptRow(**{name: row[name] for name in rows.ReceiptRow._fields})
                for key, row in self.tables["receipts"].items() if key in keys.receipts
            },
            documents={h: row for h, row in found.items() if h in keys.doc_hashes},
            reached=self._newest_of_each_place(reached, keys.step),
            raw=dict.fromkeys(keys.raw, datetime.fromtimestamp(2_000_000_000 + self.ticks, UTC)),
        )  # fmt: skip

    def _newest_of_each_place(self, reached, step):
        places = Counter()
        newest = []
        for row in sorted(reached, key=lambda row: row.revision, reverse=True):
            places[row.source, row.article_hash] += 1
            if places[row.source, row.article_hash] <= step + 1:
                newest.append(row)
        return newest

    def articles(self, keys):
        self.loads += 1
        touched, anew = self._with_hash(keys.touched), self._with_hash(keys.rewritten)
        sources = {}
        for row in sorted(self.rows("documents"), key=lambda row: row["revision"]):
            if row["article_hash"] in keys.touched and not row["retracted"] and row["doc_hash"] not in keys.known:
                sources[row["article_hash"]] = rows.DocumentRow(
                    **{name: row.get(name) for name in rows.DocumentRow._fields}
                )
        children = rows.Children()
        for table in rows.CHILD_KEYS:
            children.add(table, self._children(table, touched if table in ("links", "article_urls") else anew))
        return rows.StoredArticles(
            articles={row["url_hash"]: self._article(row) for row in touched.values()},
            sources=sources,
            forms={id_: self.tables["documents"][id_,]["form"] for id_ in keys.forms},
            children=children,
        )  # fmt: skip

    def urls(self, keys):
        self.loads += 1
        by_id = {row["id"]: row for row in self.rows("articles")}
        known = self._with_hash(keys.urls)
        loaded = rows.StoredUrls(
            articles={row["url_hash"]: self._article(row) for row in known.values()},
            alias_claims={}, targets={}, namers={}, forms={}, items={}, images={},
            stub_images=self._children("images", {id_ for id_, row in known.items() if row["is_stub"]}),
            providers={
                row["domain"]: rows.ProviderRow(row["domain"], row["id"], row["name"])
                for row in self.rows("providers") if row["domain"] in keys.domains
            },
            topics={
                row["slug"]: rows.TopicRow(**{name: row[name] for name in rows.TopicRow._fields})
                for row in self.rows("topics") if row["slug"] in keys.slugs
            },
        )  # fmt: skip
        for claim in self.rows("article_urls"):
            row, h = by_id[claim["article_id"]], claim["url_hash"]
            if h in keys.urls and not row["is_stub"] and row["id"] not in keys.touched:
                newest = loaded.alias_claims.get(h)
                if newest is None or (newest.revision, newest.article_id) < (row["revision"], row["id"]):
                    values = (row["quality"], row["published_at"], row["title"], row["url_hash"])
                    loaded.alias_claims[h] = rows.AliasClaimRow(h, row["id"], row["revision"], *values)
        for link in self.rows("links"):
            row, h, is_related = by_id[link["source_id"]], link["target_hash"], link["kind"] == "related"
            if h in keys.urls or h in keys.reassigned:
                namers = loaded.targets[h].namers if h in loaded.targets else 0
                is_listed = link["kind"] in ("related", "contains")
                loaded.targets[h] = rows.TargetRow(h, namers + is_listed, link["target_id"])
            if h in keys.unnamed and is_related and row["id"] not in keys.touched:
                newest = loaded.namers.get(h)
                if newest is None or (newest.revision, newest.article_id) < (row["revision"], row["id"]):
                    form = self.tables["documents"][row["document_id"],]["form"]
                    loaded.namers[h] = rows.NamerRow(h, row["id"], row["revision"], form)
        loaded.forms = {id_: self.tables["documents"][by_id[id_]["document_id"],]["form"] for id_ in keys.revised}
        published = {row["url_hash"]: row["id"] for row in by_id.values() if not row["is_stub"]}
        loaded.items = {
            row["doc_hash"]: published.get(row["article_hash"]) for row in self.rows("documents")
            if row["doc_hash"] in keys.items and not row["retracted"] and row["taxonomy"] is None
        }  # fmt: skip
        uses = Counter(row["url_hash"] for row in self.rows("images"))
        marked = {row["url_hash"] for row in self.rows("placeholder_images")}
        loaded.images = {h: rows.ImageUse(h, h in marked, min(uses[h], 3)) for h in keys.images}
        return loaded

    def _with_hash(self, hashes):
        return {row["id"]: row for row in self.rows("articles") if row["url_hash"] in hashes}

    def _children(self, table, ids):
        names = (*rows.CHILD_KEYS[table], *rows.CHILD_VALUES[table])
        return [
            tuple(row[name] for name in names) for row in self.rows(table)
            if row[names[0]] in ids and row.get("kind") in (None, "related", "contains")
        ]  # fmt: skip

    def _document(self, row):
        shown = [one["document_id"] for one in self.rows("articles") if one["url_hash"] == row["article_hash"]]
        values = {name: row.get(name) for name in rows.DocumentRow._fields[:-2]}
        form = row["form"] if row["taxonomy"] is not None else None
        return rows.DocumentRow(**values, form=form, shown_by=shown[0] if shown else None)

    def _article(self, row):
        return rows.ArticleRow(**{name: row.get(name) for name in rows.ArticleRow._fields})

    def _next(self, table):
        return max((key[0] for key in self.tables[table]), default=0) + 1

    # Applying

    def apply(self, changes):
        for write in changes.writes:
            for values in write.rows:
                self._write(write, dict(zip(write.names, values, strict=True)))
        for link in self.rows("links"):
            assert link["target_id"] is None or (link["target_id"],) in self.tables["articles"], "its target exists"

    def _write(self, write, row):
        table = self.tables[write.table]
        alike = [key for key, one in table.items() if all(one.get(name) == row[name] for name in write.key)]
        if write.operation is Operation.INSERT:
            self._insert(write.table, row)
        elif write.operation is Operation.DELETE:
            for key in alike:
                del table[key]
        elif not alike and write.operation is not Operation.UPDATE:
            self._insert(write.table, row)
        elif write.operation is Operation.RAISE:
            table[alike[0]][write.names[-1]] = max(row[write.names[-1]], table[alike[0]][write.names[-1]])
        elif write.operation is Operation.MERGE:
            table[alike[0]][write.names[-1]] = row[write.names[-1]]
        elif write.operation is not Operation.INSERT_MISSING:
            for key in alike:
                table[key].update(row)

    def _insert(self, name, row):
        columns = {column.name: [] if column.name in _LISTS else None for column in metadata.tables[name].columns}
        if self.keys[name] == ("id",) and "id" not in row:
            row = {"id": self._next(name), **row}
        key = tuple(row[column] for column in self.keys[name])
        assert key not in self.tables[name], f"{name} has a row {key}"
        if name == "articles":
            assert row["url_hash"] not in {one["url_hash"] for one in self.rows(name)}
        self.tables[name][key] = columns | row

    # Batches

    def context(self):
        self.ticks += 1
        now = datetime.fromtimestamp(2_000_000_000 + self.ticks, UTC)
        return Context(RULES, "test", now, step=self.step)

    def work(self, entries):
        """Process entries as the pipeline does; returns the outcome of each."""
        batch = Batch("documents", None, "test", 3, LIMITS)
        items = [open_entry(batch, entry) for entry in entries]
        for item in items:
            if item.op == "put" and not self._recognise(item):
                read_version(item, LIMITS)
        for item in changed_together(items):
            item.recognised = None
            read_version(item, LIMITS)
        while True:
            try:
                changes = decide(items, self, self.context())
                break
            except ChangedDocument as changed:
                for item in items:
                    if item.id in changed.ids:
                        item.recognised = None
                        read_version(item, LIMITS)
        self.apply(changes)
        return [str(item.outcome) for item in items]

    def _recognise(self, item):
        """Recognise a document by its bytes; the store's fingerprints leave `secured` out."""
        for row in self.rows("documents"):
            is_same = item.doc_key is not None and row["doc_hash"] == document_hash(item.source, item.doc_key)
            if is_same and row["raw_sha256"] == item.sha256 and not row["retracted"]:
                item.recognised, item.secured = (row["article_hash"], row["content_hash"]), row["secured"]
                item.fingerprint = row["fingerprint"]
                return True
        return False

    # Background work, by the plainest means

    def settle(self):
        """Do the work that the batches left."""
        while self.tables["enrichment_work"] or self.tables["url_work"]:
            if self.tables["enrichment_work"]:
                (kind, subject), _ = self.tables["enrichment_work"].popitem()
                getattr(self, f"_{kind}")(subject)
            else:
                (_, url), _ = self.tables["url_work"].popitem()
                self._image(url)

    def _decide_rows(self, documents, rewritten=()):
        stored, changes = self.documents(rows.DocumentKeys()), ChangeSet()
        decide_rows(documents, stored, self, self.context(), changes, rewritten=rewritten)
        self.apply(changes)

    def _articles(self, subject):
        self._decide_rows(DocumentChanges(), {
            row["url_hash"] for row in self.rows("articles")
            if not row["is_stub"] and (not subject or row["provider_id"] == subject)
        })  # fmt: skip

    def _retract(self, subject):
        row = self.tables["documents"][subject,]
        place = row["source"], url_hash(row["key"]), row["url_retraction"]
        found = self.documents(rows.DocumentKeys(retractions=[place], step=self.step)).reached
        changes = DocumentChanges()
        for one in found[: self.step]:
            changes.add_stored(one)
            changes.retract(one.doc_hash)
        self._decide_rows(changes)
        if len(found) > self.step:
            self._retract(subject)

    def _names(self, subject):
        row = self.tables["providers"][subject,]
        names = (one["provider_name"] for one in self.rows("articles") if one["provider_id"] == subject)
        mentions = Counter(name for name in names if name is not None)
        document = self.tables["documents"].get((row["document_id"],))
        reference = reference_from_form(document["form"]) if document else None
        row["name"] = reference.name if reference else choose_name(row["domain"], mentions)
        row["other_names"] = other_names(row["name"], mentions, reference.other_names if reference else [])

    def _peers(self, subject):
        listers = {
            one["source_id"] for one in self.rows("links") if one["target_id"] == subject and one["kind"] == "related"
        }
        for id_ in listers:
            self.tables["articles"][id_,].update(self.heat(id_))

    def heat(self, id_):
        """Return the columns of heat of an article, by the rules as they are written."""
        row = self.tables["articles"][id_,]
        related = sorted((one["rank"], one["target_id"]) for one in self.rows("links")
                         if one["source_id"] == id_ and one["kind"] == "related" and one["target_id"] is not None)  # fmt: skip
        peers = {
            one["id"]: Peer(one["quality"], one["published_at"], one["title"], one["url_hash"])
            for one in self.rows("articles")
        }
        heat = article_heat(
            id_, related, peers, count=row["related_count"], outranked_by=row["outranked_by"], rules=RULES.of("")
        )
        return heat._asdict() if heat is not None else {}

    def _image(self, url):
        shown = [one for one in self.rows("images") if one["url_hash"] == url]
        articles = [self.tables["articles"][one["article_id"],] for one in shown]
        titles = {row["title"] or "" for row in articles if not row["is_stub"]}
        self.tables["placeholder_images"].pop((url,), None)
        if shown and is_placeholder(shown[0]["url"], len(titles)):
            self._insert("placeholder_images", {"url_hash": url, "url": shown[0]["url"]})
        marked = {row["url_hash"] for row in self.rows("placeholder_images")}
        for one in shown:
            one["is_placeholder"] = url in marked
        for row in articles:
            owned = sorted(
                (one for one in self.rows("images") if one["article_id"] == row["id"]), key=lambda one: one["rank"]
            )
            refs = [ImageRef(one["url"], one["width"], one["height"], one["is_cached"], one["title"]) for one in owned]
            row["image_url"] = best_image(refs, marked)
