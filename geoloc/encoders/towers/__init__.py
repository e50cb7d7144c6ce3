"""Published image towers as ONNX networks, written from their tensors without torch."""
