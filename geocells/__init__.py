"""The Earth: coordinates, borders, what is true at a place, and its partition into geocells."""
