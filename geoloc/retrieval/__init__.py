"""Retrieval of known photos and places, and the candidates made from them."""
