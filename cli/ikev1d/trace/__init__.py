"""What devices and the gateway say to each other, in clear, for `ikectl lab` and `interop replay`.

A trace is a file of JSON lines. Secrets never reach it, and what names somebody is replaced:

- keys, nonces, proofs, signatures, certificates and passwords leave their sizes;
- public addresses, host names and user names become placeholders, the same for the same name.
"""
