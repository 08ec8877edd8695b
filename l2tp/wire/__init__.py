"""Bytes of L2TP and PPP and the values they stand for."""
