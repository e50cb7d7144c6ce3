"""The map of the page: its base map in vector tiles, and the files that draw it."""
