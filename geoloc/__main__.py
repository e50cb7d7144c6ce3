"""Run the command `geoloc` as `python -m geoloc`."""

from geoloc.cli.main import main

main()
