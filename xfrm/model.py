"""Security associations and policies as values (RFC 4301 section 4.4), as Linux keeps them."""

from typing import NamedTuple

from msgspec import Struct

from xfrm.constants import IPPROTO_ESP, Action, Direction, Mode, UdpEncap


class Mark(NamedTuple):
    """A packet mark: only the bits of `mask` count, and `value` has none outside it."""

    value: int
    mask: int


class Keyed(Struct, frozen=True):
    """An algorithm by its kernel name, with its key, which is never shown."""

    name: str
    key: bytes

    def __repr__(self) -> str:
        names = [name for name in self.__struct_fields__ if name != "key"]
        shown = ", ".join(f"{name}={getattr(self, name)!r}" for name in names)
        return f"{type(self).__name__}({shown})"


class Encryption(Keyed, frozen=True):
    """A cipher, such as "cbc(aes)"."""


class Integrity(Keyed, frozen=True):
    """A MAC, such as "hmac(sha256)", cut to `truncation` bits."""

    truncation: int


class Aead(Keyed, frozen=True):
    """A combined mode cipher; `key` ends with the salt, `icv` is in bits."""

    icv: int


class Selector(Struct, frozen=True):
    """The packets an SA or a policy is about. None for an address, and 0, mean any."""

    src: str | None = None
    dst: str | None = None
    src_prefix: int | None = None
    """Prefix length; None for the whole address."""
    dst_prefix: int | None = None
    protocol: int = 0
    sport: int = 0
    dport: int = 0


class Template(Struct, frozen=True):
    """What a policy asks of the SAs its packets go through."""

    src: str | None
    dst: str | None
    reqid: int
    protocol: int = IPPROTO_ESP
    mode: Mode = Mode.TRANSPORT
    spi: int = 0


class Lifetime(Struct, frozen=True):
    """When an SA expires: seconds since it was added, octets carried; None for never."""

    soft_seconds: int | None = None
    hard_seconds: int | None = None
    soft_bytes: int | None = None
    hard_bytes: int | None = None


class Encap(Struct, frozen=True):
    """UDP encapsulation of ESP (RFC 3948): the ports of the packets that go with the SA."""

    sport: int
    dport: int
    form: UdpEncap = UdpEncap.ESPINUDP


class Replay(Struct, frozen=True):
    """Sequence numbers used so far: the last one sent, the highest received, and its window.

    Bit 0 of the first word of `bitmap` is the highest number received, unless the window is larger
    than 32 packets: there the kernel uses the words as a ring.
    """

    sent: int = 0
    received: int = 0
    bitmap: tuple[int, ...] = (0,)


class Usage(Struct, frozen=True):
    """What an SA has carried. Times are seconds since the epoch, 0 for never."""

    bytes: int = 0
    packets: int = 0
    add_time: int = 0
    use_time: int = 0


class Progress(Struct, frozen=True):
    """How far an SA has come, for one that takes its place."""

    usage: Usage = Usage()
    replay: Replay = Replay()


class Sa(Struct, frozen=True):
    """One ESP SA, of one direction: from `src` to `dst`."""

    spi: int
    src: str
    dst: str
    reqid: int
    encryption: Encryption | None = None
    integrity: Integrity | None = None
    aead: Aead | None = None
    selector: Selector | None = None
    """Packets of another kind do not pass, in either direction; None for all."""
    encap: Encap | None = None
    mapping_interval: int = 0
    """For an inbound SA with `encap`: seconds between two `NatMapping` events while packets keep
    coming from elsewhere. With 0, every such packet makes an event."""
    mark: Mark | None = None
    """Packets must carry this mark to be sent through the SA."""
    set_mark: Mark | None = None
    """Packets get this mark when they leave the SA."""
    replay_window: int = 32
    """In packets, 0 for no replay protection."""
    lifetime: Lifetime = Lifetime()
    replay: Replay | None = None
    """Where the sequence numbers start; None for the beginning."""
    usage: Usage | None = None
    """What already counts against the lifetime; None for nothing."""
    protocol: int = IPPROTO_ESP
    mode: Mode = Mode.TRANSPORT


class SaState(Struct, frozen=True):
    """An SA as the kernel has it."""

    sa: Sa
    usage: Usage
    replay: Replay
    replay_window_errors: int
    """Packets left of the replay window."""
    replay_errors: int
    """Packets received before."""
    integrity_errors: int
    """Packets whose ICV was wrong."""
    last_used: int
    """Seconds since the epoch, 0 for never."""


class Policy(Struct, frozen=True):
    """One entry of the SPD. Of two that match a packet the one with the lower priority wins."""

    selector: Selector
    direction: Direction
    action: Action = Action.ALLOW
    priority: int = 0
    templates: tuple[Template, ...] = ()
    mark: Mark | None = None
    index: int = 0
    """The kernel's number for it, 0 before it has one."""
