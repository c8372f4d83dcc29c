"""`python -m services.cli` is `tagsmith`."""

from services.cli.app import main

main()
