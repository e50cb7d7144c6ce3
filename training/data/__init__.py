"""Photo tables: reading, splits, leakage audit, enrichment, and batches for training."""
