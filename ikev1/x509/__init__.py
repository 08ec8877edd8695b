"""Certificates: names, identities, chains, revocation. No I/O: the time is an argument."""
