"""Partition of the Earth into geocells: the semantic one, and baselines to compare it with."""
