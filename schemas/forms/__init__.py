"""The JSON Schemas of documents. Begin with `document_schemas.py`. May import the rest of `schemas`."""
