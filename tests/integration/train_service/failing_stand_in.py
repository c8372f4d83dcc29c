"""The stand-in for the trainer, which may kill itself at a failpoint; a second attempt at its job does not."""

import sys
from pathlib import Path

from tests.integration.train_service.failpoints import OF_TRAINER, arm
from tests.integration.train_service.stand_in import main

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    if folder.name == "0001":  # three losses in a row would rightly fail the job
        arm(OF_TRAINER)
    sys.exit(main(folder))
