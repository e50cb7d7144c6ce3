"""A whole photo library, placed by times, geotags, tracks and pictures together."""
