"""The one base of what goes wrong in the lab."""


class LabError(Exception):
    """Something in the lab did not happen as it should; the text says what."""


class KernelUnavailableError(LabError):
    """Neither the host's kernel nor an embedded one can run a command; says what to install."""
