"""Answers as text, JSON, tables, features, HTML pages and tagged photos."""
