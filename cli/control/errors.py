"""What goes wrong with lines of the control protocol."""


class ControlError(Exception):
    """A line that is not of this protocol. The text names what is wrong, never quotes the line."""


class UnknownRequestError(ControlError):
    """A request that this version does not have."""
