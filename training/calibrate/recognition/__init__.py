"""Recognition of known photos: their copies, and frames of the same scene."""
