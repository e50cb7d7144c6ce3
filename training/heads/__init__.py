"""Heads on frozen embeddings: retrieval projection, geocell classifier, attributes."""
