"""The configuration: one TOML file, checked, and refused with line and remedy when wrong."""

from cli.ikev1d.config.errors import ConfigError, Place
from cli.ikev1d.config.model import (
    AddressRange,
    AddressRule,
    AddressRules,
    Config,
    Connection,
    Esp,
    Gateway,
    GatewayCertificate,
    Ike,
    L2tp,
    Marks,
    Ppp,
    Psk,
    User,
)
from cli.ikev1d.config.reader import load
from cli.ikev1d.config.secret import Secret

__all__ = [
    "AddressRange",
    "AddressRule",
    "AddressRules",
    "Config",
    "ConfigError",
    "Connection",
    "Esp",
    "Gateway",
    "GatewayCertificate",
    "Ike",
    "L2tp",
    "Marks",
    "Place",
    "Ppp",
    "Psk",
    "Secret",
    "User",
    "load",
]
