"""Starts the training service: `python -m services.train`."""

import sys

from services.train.app import main

if __name__ == "__main__":
    sys.exit(main())
