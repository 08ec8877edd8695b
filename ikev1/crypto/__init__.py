"""Diffie-Hellman, PRF, CBC and key derivation of IKEv1."""
