"""Bundles of others: calibrated on own photos, with own photos and galleries added."""
