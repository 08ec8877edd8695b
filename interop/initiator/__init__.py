"""An IKEv1 initiator of its own making, to check responders by.

It shares the wire codec with the daemon and nothing else: keys, hashes and the exchanges are
written a second time, so that an error on one side does not meet the same error on the other.
"""
