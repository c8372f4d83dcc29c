"""The training service with the stand-in, either of which may kill itself at a failpoint."""

import sys

from services.train.app import main
from tests.integration.train_service.failpoints import OF_SERVICE, arm

if __name__ == "__main__":
    arm(OF_SERVICE)
    sys.exit(main((sys.executable, "-m", "tests.integration.train_service.failing_stand_in")))
