"""The hidden-state model of a journey: evidence, anchors, motion, smoothing."""
