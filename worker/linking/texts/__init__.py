"""Title and excerpt of an article as weighted features: words, buckets, document frequencies (IDF)."""
