"""Photos on disk: decoding, EXIF, folders, tar shards, and the reader of photo tables."""
