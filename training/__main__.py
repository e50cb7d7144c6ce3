"""Entry point of `python -m training`, which torchrun needs; the same as `geoloc-train`."""

from training.cli.main import main

main()
