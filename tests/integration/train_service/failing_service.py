"""The training service and its trainer, either of which may kill itself at a failpoint."""

import os
import sys

from services.train.app import main
from tests.integration.train_service.failpoints import OF_SERVICE, arm

# Bases are what the real trainer learns from; the stand-in has no use for them.
_TRAINER = "failing_trainer" if "TAGSMITH_BASES_DIR" in os.environ else "failing_stand_in"

if __name__ == "__main__":
    arm(OF_SERVICE)
    sys.exit(main((sys.executable, "-m", f"tests.integration.train_service.{_TRAINER}")))
