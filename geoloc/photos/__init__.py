"""Photos on disk: decoding, metadata, folders, tar shards, and tables that list them."""
