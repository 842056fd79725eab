"""Cut a checkpoint into a bundle: two ONNX graphs, golden vectors and a manifest. Run it with `python -m export`."""

import os

# Before any module here imports ONNX Runtime, which writes files into the home folder and looks up a server otherwise.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
