"""Cues of text: what words, numbers and letters on signs say about the place."""
