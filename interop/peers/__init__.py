"""Real programs as the gateway's peers: each starts on a machine of the lab."""
