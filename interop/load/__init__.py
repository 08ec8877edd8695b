"""Load: thousands of emulated clients in one process, and the responders that they try."""
