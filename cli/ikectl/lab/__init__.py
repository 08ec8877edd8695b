"""`ikectl lab`: a gateway for one real device, and on the terminal what the device does.

`setup.py` makes keys and files, `gateway.py` runs the daemon, `narrator.py` makes sentences of its
trace, `causes.py` knows why devices stop; `commands.py` ties them together.
"""
