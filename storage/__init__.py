"""The disk: a key-value store, its in-memory twin, the signing record and the chain store."""
