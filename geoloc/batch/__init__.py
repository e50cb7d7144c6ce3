"""Many photos: a folder, a list or tar shards in, one file of answers out."""
