"""Days of arrival: their document frequencies, and how a bootstrap day is linked (see `texts/idf_basis.py`)."""
