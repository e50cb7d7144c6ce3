"""A synthetic planet with rendered photographs, for tests, rehearsals and ablations."""
