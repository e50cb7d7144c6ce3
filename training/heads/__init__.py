"""Heads on frozen embeddings: geocell classifier, attributes, retrieval features."""
