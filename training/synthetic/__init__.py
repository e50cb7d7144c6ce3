"""A synthetic planet with rendered photos, for tests, rehearsals and ablations."""
