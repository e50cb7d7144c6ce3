"""Answers as text, tables, features, maps and tagged photos."""
