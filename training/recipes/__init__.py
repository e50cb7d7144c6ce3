"""Recipes: from a photo table to a bundle, stage by stage."""
