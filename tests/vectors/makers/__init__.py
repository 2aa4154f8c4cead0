"""What the vectors are made with: the reference model and the definitions of the RFCs, no code of the node."""
