"""What the packet filter of the machine does to the gateway's packets, where it can be read."""
