"""The Earth: coordinates, borders, attributes of places, and the partition into geocells."""
