"""What the linker reads and writes: the lease of the leader, links, stories."""
