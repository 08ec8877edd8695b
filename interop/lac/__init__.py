"""An L2TP access concentrator of its own making: the client's side of RFC 2661, to check an LNS by.

It shares the wire codec with the gateway and nothing else.
"""
