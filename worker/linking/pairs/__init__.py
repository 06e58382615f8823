"""Which two articles are linked: the evidence for one event, the decision about a pair, and how many links an article has."""
