"""From a moved alias to a version that answers everywhere: asks the inference servers, decides, and moves the alias back if one refuses."""
