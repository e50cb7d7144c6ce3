"""A model of the whole world from published weights: the `geoclip` bundle."""
