"""Sets of photos for the game of the page: chosen, checked and written."""
