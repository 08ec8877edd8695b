"""IPsec in the Linux kernel: SAs and policies over NETLINK_XFRM."""
