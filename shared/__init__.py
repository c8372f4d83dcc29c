"""What both services would otherwise copy. Knows no service."""

import os

# ONNX Runtime's official builds report to their maker over the network, from their import on: models' names and hashes, a device
# id. This variable is the only full opt-out, and this module comes before every import of the library.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
