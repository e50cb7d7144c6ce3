"""Calibration of answers on held-out photos, by cross-validation or on a split."""
