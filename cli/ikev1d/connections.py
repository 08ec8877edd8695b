"""The connections that a server of ours has open: counted, and ended with it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager


class Connections:
    """The tasks that serve connections, one each."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._tasks)

    @contextmanager
    def served(self, writer: asyncio.StreamWriter) -> Iterator[None]:
        """Count the connection that the task at hand serves, and close it in the end."""
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            yield
        finally:
            self._tasks.discard(task)
            writer.transport.abort()

    async def end(self) -> None:
        """End them all."""
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
