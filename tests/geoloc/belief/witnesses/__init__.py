"""Tests of the witnesses: evidence beside the embedding."""
