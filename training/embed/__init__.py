"""Embeddings of photo tables, and the encoders that compute them."""
