"""A client's ESP SAs and policies in the kernel of its machine, through ip-xfrm(8).

The keys go to ip on its standard input: what is in a process's arguments, everybody can read.
"""

from dataclasses import dataclass

from ikev1.wire.enums import AuthAlgorithm, EspTransform
from interop.emulation.effects import InstallSas
from interop.esp import AUTH_KEYS
from interop.initiator.effects import EspSas
from interop.netns import Host

_REQID = 1
_CIPHERS = {EspTransform.AES_CBC: "cbc(aes)", EspTransform.TRIPLE_DES: "cbc(des3_ede)"}
_AUTH = {
    AuthAlgorithm.HMAC_MD5: ("hmac(md5)", 96),
    AuthAlgorithm.HMAC_SHA1: ("hmac(sha1)", 96),
    AuthAlgorithm.HMAC_SHA2_256: ("hmac(sha256)", 128),
    AuthAlgorithm.HMAC_SHA2_384: ("hmac(sha384)", 192),
    AuthAlgorithm.HMAC_SHA2_512: ("hmac(sha512)", 256),
}
"""The kernel's names, and bits of the ICV (RFC 2403, 2404, 4868)."""


@dataclass(frozen=True, slots=True)
class ClientSas:
    """The SAs between ``inner`` and ``server``, the two addresses as the client knows them."""

    host: Host
    inner: str
    server: str

    def install(self, effect: InstallSas) -> None:
        """Add a pair of SAs, and the policies that are not there. Raises `CommandError`."""
        form = "espinudp 4500 4500" if effect.floated else "espinudp-nonike 500 500"
        encap = f" encap {form} 0.0.0.0" if effect.encapsulated else ""
        sas = effect.sas
        lines = [
            f"xfrm state add {self._ends(spi, out=out)} reqid {_REQID} mode transport"
            f" {_algorithms(sas, keys)}{encap}\n"
            for spi, keys, out in (
                (sas.inbound_spi, sas.inbound_keys, False),
                (sas.outbound_spi, sas.outbound_keys, True),
            )
        ]
        self._ip(lines + self._policies(effect))

    def remove(self, sas: EspSas) -> None:
        """Delete a pair of SAs. Raises `CommandError`."""
        self._ip(
            [
                f"xfrm state delete {self._ends(sas.inbound_spi, out=False)}\n",
                f"xfrm state delete {self._ends(sas.outbound_spi, out=True)}\n",
            ]
        )

    def clear(self) -> None:
        """Delete all that is left on the machine."""
        self._ip(["xfrm state flush\n", "xfrm policy flush\n"])

    def _ip(self, lines: list[str]) -> None:
        self.host.run("ip", "-batch", "-", stdin="".join(lines))

    def _ends(self, spi: bytes, *, out: bool) -> str:
        source, destination = (self.inner, self.server) if out else (self.server, self.inner)
        return f"src {source} dst {destination} proto esp spi 0x{spi.hex()}"

    def _policies(self, effect: InstallSas) -> list[str]:
        """What comes in may come from any port, as Apple's pppd says, if it is to one of ours.

        To all of our ports it may not: that would be IKE too.
        """
        ours = effect.client_port
        out = f"src {self.inner}/32 dst {self.server}/32 proto udp"
        out += _port("sport", ours) + _port("dport", effect.server_port)
        into = f"src {self.server}/32 dst {self.inner}/32 proto udp"
        into += _port("dport", ours) or _port("sport", effect.server_port)
        template = f"proto esp reqid {_REQID} mode transport"
        outward = f"tmpl src {self.inner} dst {self.server} {template}"
        inward = f"tmpl src {self.server} dst {self.inner} {template}"
        return [
            f"xfrm policy update {out} dir out {outward}\n",
            f"xfrm policy update {into} dir in {inward}\n",
        ]


def _port(side: str, number: int) -> str:
    return f" {side} {number}" if number else ""


def _algorithms(sas: EspSas, keymat: bytes) -> str:
    assert sas.auth is not None  # no client of ours offers a combined mode
    name, bits = _AUTH[sas.auth]
    size = AUTH_KEYS[sas.auth]
    cipher, auth = keymat[:-size].hex(), keymat[-size:].hex()
    return f"enc {_CIPHERS[sas.transform]} 0x{cipher} auth-trunc {name} 0x{auth} {bits}"
