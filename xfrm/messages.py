"""The messages of NETLINK_XFRM as pyroute2 classes (uapi linux/xfrm.h).

Members are called as in the header file; those of an embedded structure carry its member name as a
prefix (`sel_daddr`, `lft_soft_byte_limit`). Addresses are the 16 octets of xfrm_address_t, an IPv4
address in the first four.
"""

from pyroute2.netlink import nla

from xfrm.flat import Fields, FlatMessage, Layout, zero_octets

ADDRESS = "16s"


def _members(names: str, fmt: str) -> Fields:
    return tuple((name, fmt) for name in names.split())


def _nested(member: str, fields: Fields) -> Fields:
    return tuple((f"{member}_{name}", fmt) for name, fmt in fields)


XFRM_SELECTOR: Fields = (
    ("daddr", ADDRESS),
    ("saddr", ADDRESS),
    ("dport", ">H"),
    ("dport_mask", ">H"),
    ("sport", ">H"),
    ("sport_mask", ">H"),
    ("family", "H"),
    ("prefixlen_d", "B"),
    ("prefixlen_s", "B"),
    ("proto", "B"),
    ("pad", "3x"),
    ("ifindex", "i"),
    ("user", "I"),
)

XFRM_ID: Fields = (("daddr", ADDRESS), ("spi", ">I"), ("proto", "B"), ("pad", "3x"))

XFRM_LIFETIME_CFG = _members(
    "soft_byte_limit hard_byte_limit soft_packet_limit hard_packet_limit"
    " soft_add_expires_seconds hard_add_expires_seconds"
    " soft_use_expires_seconds hard_use_expires_seconds",
    "Q",
)

XFRM_LIFETIME_CUR = _members("bytes packets add_time use_time", "Q")

XFRM_STATS = _members("replay_window replay integrity_failed", "I")

XFRM_USERSA_INFO: Fields = (
    *_nested("sel", XFRM_SELECTOR),
    *_nested("id", XFRM_ID),
    ("saddr", ADDRESS),
    *_nested("lft", XFRM_LIFETIME_CFG),
    *_nested("curlft", XFRM_LIFETIME_CUR),
    *_nested("stats", XFRM_STATS),
    ("seq", "I"),
    ("reqid", "I"),
    ("family", "H"),
    ("mode", "B"),
    ("replay_window", "B"),
    ("flags", "B"),
    ("pad", "7x"),
)

XFRM_USERSA_ID: Fields = (
    ("daddr", ADDRESS),
    ("spi", ">I"),
    ("family", "H"),
    ("proto", "B"),
    ("pad", "x"),
)

XFRM_USERPOLICY_INFO: Fields = (
    *_nested("sel", XFRM_SELECTOR),
    *_nested("lft", XFRM_LIFETIME_CFG),
    *_nested("curlft", XFRM_LIFETIME_CUR),
    ("priority", "I"),
    ("index", "I"),
    ("dir", "B"),
    ("action", "B"),
    ("flags", "B"),
    ("share", "B"),
    ("pad", "4x"),
)

XFRM_USER_TMPL: Fields = (
    *_nested("id", XFRM_ID),
    ("family", "H"),
    ("pad", "2x"),
    ("saddr", ADDRESS),
    ("reqid", "I"),
    ("mode", "B"),
    ("share", "B"),
    ("optional", "B"),
    ("pad2", "x"),
    ("aalgos", "I"),
    ("ealgos", "I"),
    ("calgos", "I"),
)


class _Structure(nla):
    """An attribute that is a C structure."""

    def __init_subclass__(cls) -> None:
        cls.defaults = zero_octets(cls.fields)


class _StructureWithTail(_Structure):
    """A structure whose last member takes the octets that are left."""

    def ft_decode(self, offset: int) -> None:
        self.update(Layout(self.fields).unpack(self.data, offset, self.offset + self.length))


class xfrmmsg(FlatMessage):  # noqa: N801  pyroute2's way to call a message
    """Base of all NETLINK_XFRM messages: they share one attribute space, XFRMA_*."""

    prefix = "XFRMA_"
    nla_map = (
        ("XFRMA_UNSPEC", "none"),
        ("XFRMA_ALG_AUTH", "xfrm_algo"),
        ("XFRMA_ALG_CRYPT", "xfrm_algo"),
        ("XFRMA_ALG_COMP", "xfrm_algo"),
        ("XFRMA_ENCAP", "xfrm_encap_tmpl"),
        ("XFRMA_TMPL", "xfrm_user_tmpl"),
        ("XFRMA_SA", "xfrm_usersa_info"),
        ("XFRMA_POLICY", "xfrm_userpolicy_info"),
        ("XFRMA_SEC_CTX", "cdata"),
        ("XFRMA_LTIME_VAL", "xfrm_lifetime_cur"),
        ("XFRMA_REPLAY_VAL", "xfrm_replay_state"),
        ("XFRMA_REPLAY_THRESH", "uint32"),
        ("XFRMA_ETIMER_THRESH", "uint32"),
        ("XFRMA_SRCADDR", "xfrm_address"),
        ("XFRMA_COADDR", "xfrm_address"),
        ("XFRMA_LASTUSED", "uint64"),
        ("XFRMA_POLICY_TYPE", "xfrm_userpolicy_type"),
        ("XFRMA_MIGRATE", "cdata"),
        ("XFRMA_ALG_AEAD", "xfrm_algo_aead"),
        ("XFRMA_KMADDRESS", "cdata"),
        ("XFRMA_ALG_AUTH_TRUNC", "xfrm_algo_auth"),
        ("XFRMA_MARK", "xfrm_mark"),
        ("XFRMA_TFCPAD", "uint32"),
        ("XFRMA_REPLAY_ESN_VAL", "xfrm_replay_state_esn"),
        ("XFRMA_SA_EXTRA_FLAGS", "uint32"),
        ("XFRMA_PROTO", "uint8"),
        ("XFRMA_ADDRESS_FILTER", "xfrm_address_filter"),
        ("XFRMA_PAD", "none"),
        ("XFRMA_OFFLOAD_DEV", "xfrm_user_offload"),
        # The header file has XFRMA_OUTPUT_MARK as an older name of the same number.
        ("XFRMA_SET_MARK", "uint32"),
        ("XFRMA_SET_MARK_MASK", "uint32"),
        ("XFRMA_IF_ID", "uint32"),
        ("XFRMA_MTIMER_THRESH", "uint32"),
    )

    class xfrm_algo(_StructureWithTail):  # noqa: N801
        """Cipher or, with the algorithm's default truncation, integrity algorithm and its key."""

        fields: Fields = (("alg_name", "64s"), ("alg_key_len", "I"), ("alg_key", "s"))

    class xfrm_algo_auth(_StructureWithTail):  # noqa: N801
        """Integrity algorithm with the length of its ICV."""

        fields: Fields = (
            ("alg_name", "64s"),
            ("alg_key_len", "I"),
            ("alg_trunc_len", "I"),
            ("alg_key", "s"),
        )

    class xfrm_algo_aead(_StructureWithTail):  # noqa: N801
        """Combined mode algorithm; the key ends with its salt."""

        fields: Fields = (
            ("alg_name", "64s"),
            ("alg_key_len", "I"),
            ("alg_icv_len", "I"),
            ("alg_key", "s"),
        )

    class xfrm_encap_tmpl(_Structure):  # noqa: N801
        """UDP encapsulation of ESP."""

        fields: Fields = (
            ("encap_type", "H"),
            ("encap_sport", ">H"),
            ("encap_dport", ">H"),
            ("pad", "2x"),
            ("encap_oa", ADDRESS),
        )

    class xfrm_user_tmpl(nla):  # noqa: N801
        """A policy's templates: the structure repeated without a header of its own."""

        element = XFRM_USER_TMPL
        fields = ()

        def ft_decode(self, offset: int) -> None:
            """Read as many templates as fit."""
            layout = Layout(self.element)
            end = self.offset + self.length
            self.value = [
                layout.unpack(self.data, start, end) for start in range(offset, end, layout.size)
            ]

    class xfrm_usersa_info(_Structure):  # noqa: N801
        """The SA a notification is about."""

        fields = XFRM_USERSA_INFO

    class xfrm_userpolicy_info(_Structure):  # noqa: N801
        """The policy a notification is about."""

        fields = XFRM_USERPOLICY_INFO

    class xfrm_lifetime_cur(_Structure):  # noqa: N801
        """What an SA has carried so far."""

        fields = XFRM_LIFETIME_CUR

    class xfrm_replay_state(_Structure):  # noqa: N801
        """Sequence numbers of both directions and a window of up to 32 packets."""

        fields = _members("oseq seq bitmap", "I")

    class xfrm_replay_state_esn(_StructureWithTail):  # noqa: N801
        """Sequence numbers, 64 bits with XFRM_STATE_ESN, and a window of any size."""

        fields: Fields = (
            *_members("bmp_len oseq seq oseq_hi seq_hi replay_window", "I"),
            ("bmp", "s"),
        )

    class xfrm_address(nla):  # noqa: N801
        """xfrm_address_t."""

        fields = (("value", ADDRESS),)

    class xfrm_userpolicy_type(_Structure):  # noqa: N801
        """XFRM_POLICY_TYPE_MAIN or _SUB."""

        fields: Fields = (
            ("type", "B"),
            ("pad", "x"),
            ("reserved1", "H"),
            ("reserved2", "B"),
            ("pad2", "x"),
        )

    class xfrm_mark(_Structure):  # noqa: N801
        """Value and mask a packet's mark is compared with."""

        fields = _members("v m", "I")

    class xfrm_address_filter(_Structure):  # noqa: N801
        """Addresses and prefix lengths a dump of SAs is limited to."""

        fields: Fields = (
            ("saddr", ADDRESS),
            ("daddr", ADDRESS),
            ("family", "H"),
            ("splen", "B"),
            ("dplen", "B"),
        )

    class xfrm_user_offload(_Structure):  # noqa: N801
        """Interface that does the cryptography of this SA."""

        fields: Fields = (("ifindex", "i"), ("flags", "B"), ("pad", "3x"))


class usersa_info(xfrmmsg):  # noqa: N801
    """An SA: XFRM_MSG_NEWSA and XFRM_MSG_UPDSA, and the answer to XFRM_MSG_GETSA."""

    fields = XFRM_USERSA_INFO


class usersa_id(xfrmmsg):  # noqa: N801
    """What names an SA: XFRM_MSG_GETSA and XFRM_MSG_DELSA."""

    fields = XFRM_USERSA_ID


class userspi_info(xfrmmsg):  # noqa: N801
    """A larval SA and the range its SPI is wanted from: XFRM_MSG_ALLOCSPI."""

    fields: Fields = (*_nested("info", XFRM_USERSA_INFO), ("min", "I"), ("max", "I"))


class usersa_flush(xfrmmsg):  # noqa: N801
    """The protocol whose SAs are all deleted, 0 for every one: XFRM_MSG_FLUSHSA."""

    fields: Fields = (("proto", "B"),)


class userpolicy_info(xfrmmsg):  # noqa: N801
    """A policy: XFRM_MSG_NEWPOLICY, XFRM_MSG_UPDPOLICY and the answer to XFRM_MSG_GETPOLICY."""

    fields = XFRM_USERPOLICY_INFO


class userpolicy_id(xfrmmsg):  # noqa: N801
    """What names a policy: XFRM_MSG_GETPOLICY and XFRM_MSG_DELPOLICY."""

    fields: Fields = (
        *_nested("sel", XFRM_SELECTOR),
        ("index", "I"),
        ("dir", "B"),
        ("pad", "3x"),
    )


class userpolicy_flush(xfrmmsg):  # noqa: N801
    """XFRM_MSG_FLUSHPOLICY, which has attributes alone (XFRMA_POLICY_TYPE)."""

    fields = ()


class user_acquire(xfrmmsg):  # noqa: N801
    """XFRM_MSG_ACQUIRE: a packet met a policy without an SA."""

    fields: Fields = (
        *_nested("id", XFRM_ID),
        ("saddr", ADDRESS),
        *_nested("sel", XFRM_SELECTOR),
        *_nested("policy", XFRM_USERPOLICY_INFO),
        *_members("aalgos ealgos calgos seq", "I"),
    )


class user_expire(xfrmmsg):  # noqa: N801
    """XFRM_MSG_EXPIRE: a soft or hard lifetime of an SA ran out."""

    fields: Fields = (*_nested("state", XFRM_USERSA_INFO), ("hard", "B"), ("pad", "7x"))


class user_polexpire(xfrmmsg):  # noqa: N801
    """XFRM_MSG_POLEXPIRE: a soft or hard lifetime of a policy ran out."""

    fields: Fields = (*_nested("pol", XFRM_USERPOLICY_INFO), ("hard", "B"), ("pad", "7x"))


class user_mapping(xfrmmsg):  # noqa: N801
    """XFRM_MSG_MAPPING: a UDP-encapsulated SA received a packet from another address or port."""

    fields: Fields = (
        *_nested("id", XFRM_USERSA_ID),
        ("reqid", "I"),
        ("old_saddr", ADDRESS),
        ("new_saddr", ADDRESS),
        ("old_sport", ">H"),
        ("new_sport", ">H"),
    )
