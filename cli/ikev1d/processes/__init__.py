"""Several processes that are one gateway: each serves its share of the clients."""
