"""The training loop, checkpoints and parallel processes."""
