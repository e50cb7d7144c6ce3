"""The game on the page: five rounds against the model."""
