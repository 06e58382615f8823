"""Rows of the tables, made from what was decided."""
