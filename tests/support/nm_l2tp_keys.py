"""What NetworkManager-l2tp 1.20 knows in [vpn] and [vpn-secrets].

From github.com/nm-l2tp/NetworkManager-l2tp, shared/nm-service-defines.h at
13d9f706fa23309be4057150e3539a51f4927954, and the strings of Debian's nm-l2tp-service
1.20.8-1+deb12u1. The keys that a profile of ours may use; nmcli 1.42.4 has read such files with
`nmcli --offline connection modify`.
"""

SERVICE = "org.freedesktop.NetworkManager.l2tp"

DATA = frozenset(
    {
        "service-type",
        "gateway",
        "user-auth-type",
        "user",
        "password-flags",
        "ipsec-enabled",
        "ipsec-ike",
        "ipsec-esp",
        "ipsec-psk-flags",
        "machine-auth-type",
        "machine-ca",
        "machine-cert",
        "machine-key",
        "machine-certpass-flags",
    }
)
SECRETS = frozenset({"password", "ipsec-psk", "machine-certpass", "user-certpass"})
AUTHENTICATION_TYPES = frozenset({"password", "tls", "psk"})
