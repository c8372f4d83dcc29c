"""Starts the inference service: `python -m services.infer`."""

import os
import sys

from services.infer.app import main

if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # sys.exit would wait for pool threads, and so for a store that hangs
