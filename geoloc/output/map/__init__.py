"""The map: outlines, names, regions and what is shown on it."""
