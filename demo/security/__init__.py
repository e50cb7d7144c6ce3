"""Protection of a public server: sandbox, request checks, coarse answers."""
