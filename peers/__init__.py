"""The off-chain side: data sold and bought chunk by chunk, each paid by a signed promise (the paper, steps 2 to 4)."""
