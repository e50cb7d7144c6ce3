"""Retrieval heads on frozen towers: bands of distances, encoded coordinates, hubness, re-ranker."""
