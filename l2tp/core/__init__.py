"""L2TP tunnels and sessions, sans-IO: the LNS."""
