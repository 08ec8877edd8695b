"""How the two ends of a Main Mode prove who they are, one module for each way of RFC 2409."""
