"""Fits of the witnesses that read photos, and the simulated signs that they are fitted on."""
