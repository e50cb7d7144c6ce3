"""Making bundles: photos with known places in, a model that answers out."""
