"""Photo tables: read, split, checked for leaks, enriched and loaded in batches."""
