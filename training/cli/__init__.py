"""The `geoloc-train` command line: one module for each group of commands."""
