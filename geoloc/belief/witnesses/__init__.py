"""Witnesses: kinds of evidence about the place of a photo beside its embedding, one file each."""
