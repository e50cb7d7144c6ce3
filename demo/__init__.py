"""Showing answers: a web page around `geoloc`."""
