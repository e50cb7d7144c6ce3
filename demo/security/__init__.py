"""Protection of a public server: sandbox, request checks, blurred locations."""
