"""The training loop, checkpoints, parallel processes and progress reports."""
