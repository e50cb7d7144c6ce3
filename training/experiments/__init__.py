"""Experiments: PIGEON's ablation on the synthetic planet."""
