"""A PPP peer of its own making: the client's side of LCP, authentication and IPCP.

It shares the wire codec with the gateway and nothing else.
"""
