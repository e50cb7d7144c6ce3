"""Contrastive pretraining and fine-tuning of CLIP towers (PIGEON, sections 3 and 4.3)."""
