"""Bundles: model directories that are loaded, verified, downloaded and installed."""
