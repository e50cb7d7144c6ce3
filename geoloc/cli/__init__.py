"""The `geoloc` command line."""
