"""Belief over geocells: heads, fusion of evidence, and constraints on the location."""
