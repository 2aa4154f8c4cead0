"""Who writes the next block: mempool, block building, seals, import. No clock, thread or file: they are handed in."""
