"""The real trainer, which may kill itself at a failpoint in the first attempt at its job."""

import sys
from pathlib import Path

from services.train.trainer.__main__ import main
from tests.integration.train_service.failpoints import OF_TRAINER, arm

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    if folder.name == "0001":
        arm(OF_TRAINER)
    sys.exit(main(folder))
