"""Starts the inference service: `python -m services.infer`."""

import sys

from services.infer.app import main

if __name__ == "__main__":
    sys.exit(main())
