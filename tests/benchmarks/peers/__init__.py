"""Programs that do the same work, written as their authors would write them today: nothing here is slow on purpose.

All fill the tables of `schema` from the documents of the generator: articles (and stubs), links, topics, images and
providers. Copydesk also keeps versions, receipts, raw bytes, aliases and dead letters; the peers do not.
"""
