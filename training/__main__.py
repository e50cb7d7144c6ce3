"""Run the `geoloc-train` command as `python -m training`, as torchrun does."""

from training.cli.main import main

main()
