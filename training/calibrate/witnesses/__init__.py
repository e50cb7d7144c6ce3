"""Calibration of witnesses: how far each is trusted, and radii and claims of answers with them."""
