"""Retrieval: the gallery of location clusters, candidate places, and their re-ranking."""
