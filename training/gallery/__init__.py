"""Location clusters and their prototypes."""
