"""Storage: the ring buffer, the packet ring, and the assembler of out-of-order data."""
