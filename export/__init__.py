"""Cut a checkpoint into a bundle: two ONNX graphs, golden vectors and a manifest. Run it with `python -m export`."""
