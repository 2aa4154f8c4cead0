"""The demonstration: the paper's figure 2 with real keys against a devnet, every figure checked."""
