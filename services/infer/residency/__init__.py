"""Which versions are in memory: loaded, verified and warmed before they answer, unloaded when nothing leads to them any more."""
