"""From belief and candidates to a calibrated, explained answer."""
