"""What the sink `https` is made of: the receiver's address, signatures, one connection."""
