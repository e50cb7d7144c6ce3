"""Image encoders: photos to embeddings, with preprocessing, cache and pipeline."""
