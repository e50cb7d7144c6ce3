"""Location clusters of photos and their prototypes, for retrieval."""
