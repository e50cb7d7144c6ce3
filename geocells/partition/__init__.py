"""Partitions of the Earth: semantic geocells, and baselines for comparison."""
