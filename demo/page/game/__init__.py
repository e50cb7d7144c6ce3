"""The page's game: five rounds against the bundle."""
