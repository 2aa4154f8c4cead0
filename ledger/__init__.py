"""Records, state, blocks and the state transition: pure, without a clock, randomness or I/O."""
