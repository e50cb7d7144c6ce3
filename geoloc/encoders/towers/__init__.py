"""Published towers of photos and of places without torch: ONNX networks and NumPy."""
