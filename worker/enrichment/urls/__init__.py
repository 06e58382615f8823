"""URLs: their canonical form, their hosts, and the parameters that only track readers."""
