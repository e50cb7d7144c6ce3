"""Run the `geoloc` command as `python -m geoloc`."""

from geoloc.cli.main import main

main()
