"""Cross-validated answers, and the calibration fitted on them."""
