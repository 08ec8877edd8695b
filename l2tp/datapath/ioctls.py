"""Numbers of ioctls (uapi linux/ppp-ioctl.h, if_tun.h), built as in uapi asm-generic/ioctl.h."""

_READ = 2
_WRITE = 1
_INT = 4
_PPP = ord("t")
_TUN = ord("T")
_L2TP_STATS = 72


def _number(direction: int, number: int, size: int, letter: int = _PPP) -> int:
    return direction << 30 | size << 16 | letter << 8 | number


PPPIOCGL2TPSTATS = _number(_READ, 54, _L2TP_STATS)
PPPIOCGCHAN = _number(_READ, 55, _INT)
PPPIOCATTCHAN = _number(_WRITE, 56, _INT)
PPPIOCCONNECT = _number(_WRITE, 58, _INT)
PPPIOCNEWUNIT = _number(_READ | _WRITE, 62, _INT)
PPPIOCSMRU = _number(_WRITE, 82, _INT)
TUNSETIFF = _number(_WRITE, 202, _INT, _TUN)
