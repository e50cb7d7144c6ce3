"""Answers: ranking of candidates, calibration, explanations and attribution maps."""
