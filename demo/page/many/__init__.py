"""Tabs for many photos at once: a batch, and a whole library."""
