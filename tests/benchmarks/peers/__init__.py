"""What people write today for the same work, as its authors would write it: nothing here is slow on purpose.

All fill the tables of `schema` from the documents of the generator: articles (and stubs), links, topics, images and
providers. None keeps versions, receipts, raw bytes, aliases or dead letters, as Copydesk does.
"""
