"""What goes wrong among the processes of the gateway."""


class WorkerError(Exception):
    """A worker does not answer, or has ended; the text says which, and what came of it."""
