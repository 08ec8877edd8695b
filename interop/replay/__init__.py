"""A device that was recorded once, played again: from a transcript of `ikectl lab` to a verdict.

`transcript.py` reads, `device.py` and, for what is inside ESP, `inside.py` make a client of
`interop.clients`' kind of it, `steps.py` says how far a recording got, `deeds.py` what the
device did then, `verdict.py` compares two of them, and `lab.py` plays in the lab.
"""
