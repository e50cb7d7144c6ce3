"""Packs: photos that were added to a bundle, and one answer of the bundle and its packs."""
