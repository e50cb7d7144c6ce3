"""Atomic writes, and the JSON-lines protocol with other programs."""
