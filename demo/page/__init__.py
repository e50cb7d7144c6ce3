"""The web page: locating photos on a map, and a game."""
