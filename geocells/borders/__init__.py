"""Administrative borders: the embedded hierarchy and readers of border files."""
