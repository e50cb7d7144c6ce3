"""Image encoders: photos to embeddings, in ONNX Runtime or torch, cached by content."""
