"""Input and output shared by all rooms: atomic writes, JSON-lines processes, progress reports."""
