"""The training service, whole, with the stand-in in the trainer's place: `python -m tests.integration.train_service.service`."""

import sys

from services.train.app import main

if __name__ == "__main__":
    sys.exit(main((sys.executable, "-m", "tests.integration.train_service.stand_in")))
