"""Fixtures for tests in the lab's kernel: `python -m interop.kernel -- pytest tests/kernel`.

Everything a test writes stays in the run's directory below lab/: logs, captures, the story.
"""

import re
from pathlib import Path

import pytest

from interop import kernel


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    if not kernel.inside() and any(here in item.path.parents for item in items):
        message = (
            "tests/kernel needs the lab's kernel: python -m interop.kernel -- pytest tests/kernel"
        )
        raise pytest.UsageError(message)


def _directory(name: str) -> Path:
    directory = kernel.artefacts() / re.sub(r"[^\w.-]+", "-", name)
    directory.mkdir(parents=True)
    return directory


@pytest.fixture
def artefacts(request: pytest.FixtureRequest) -> Path:
    """The test's own directory; its contents are kept."""
    return _directory(f"{request.module.__name__}.{request.node.name}")


@pytest.fixture(scope="module")
def module_artefacts(request: pytest.FixtureRequest) -> Path:
    """A directory for what the tests of a module share."""
    return _directory(request.module.__name__)
