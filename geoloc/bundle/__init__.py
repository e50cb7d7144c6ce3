"""Bundles: model directories, their installation and download."""
