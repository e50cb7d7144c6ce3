"""The commands that change bundles: `geoloc bundle calibrate`, `add` and `remove`."""
