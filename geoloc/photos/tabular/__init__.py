"""Formats of photo tables: encodings, text with delimiters, and JSON, by rows or by columns."""
