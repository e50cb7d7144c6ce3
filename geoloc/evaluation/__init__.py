"""Evaluation: published benchmarks, scores with intervals, leakage, calibration and reports."""
