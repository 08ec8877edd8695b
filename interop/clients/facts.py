"""A value of a client with where it comes from, or with the word that nobody has told it.

A profile is made of facts:

    facts(Profile, nonce_size=Known(16, f"{AI} isakmp_var.h"), initial_contact=Unknown(True))

The engines run the plain profile. Reports and docs/clients.md show its unknown values as such.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

P = TypeVar("P")


@dataclass(frozen=True, slots=True)
class Known:
    """A value and its source: a repository with a file or tag, a document, a log."""

    value: Any
    source: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """What is documented nowhere that we know of. Runs use `value`, for the reason in `because`."""

    value: Any
    because: str = "as its relatives do"


Fact = Known | Unknown


@dataclass(frozen=True, slots=True)
class Facts(Generic[P]):
    """A profile and the fact behind each of its values."""

    profile: P
    by_name: Mapping[str, Fact]
    _kind: Callable[..., P]

    def but(self, **changes: Fact) -> "Facts[P]":
        """The same with other facts in the place of some, or beside them."""
        return facts(self._kind, **{**self.by_name, **changes})

    def fact(self, name: str) -> Fact:
        """What is told of a field; of one that is at its default nobody has told."""
        default = Unknown(getattr(self.profile, name), "nobody tells of anything else")
        return self.by_name.get(name, default)

    def taken_for(self, reason: str) -> "Facts[P]":
        """The same values for a client of which none is documented."""
        unknown: dict[str, Fact] = {
            name: Unknown(fact.value, reason) for name, fact in self.by_name.items()
        }
        return facts(self._kind, **unknown)


def facts(kind: Callable[..., P], **by_name: Fact) -> Facts[P]:
    """Make a profile of its facts, one for each of its fields that is not at its default."""
    return Facts(kind(**{name: fact.value for name, fact in by_name.items()}), by_name, kind)
