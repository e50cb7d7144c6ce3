"""The demo: a web page and a REST API around `geoloc`."""
