"""`ikectl verify`: what is wrong with the machine and the gateway, why it matters, what to do.

One module for each subject. It gathers facts, which takes root, and judges them, which takes
nothing: the judging functions are pure. The machine's subjects run in a process of their own
(`program`), started by the daemon or, where that is down, by `ikectl`; what only the daemon knows
is in `running`.
"""
