"""Embeddings of photos and tables of photos, and the encoders that make them."""
