"""A synthetic planet with rendered photos, for tests, dry runs and ablations."""
