"""The `geoloc-train` command line."""
