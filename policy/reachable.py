"""Which addresses are of the open internet."""

import ipaddress

PRIVATE = "its address is a private one of this network: allow_private = true lets it be called"
"""What is said of one that isn't."""

_SHUNNED = tuple(
    map(
        ipaddress.ip_network,
        (
            "168.63.129.16/32",  # by which machines in Azure reach their host
            "192.0.0.0/24",  # the same at Oracle; not every Python calls these two private
            "fec0::/10",
        ),
    )
)
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def is_public(address: str) -> bool:
    """Whether it is one of the open internet: neither private, loopback, link-local (where clouds keep
    their metadata), multicast nor reserved, nor an IPv6 form of such a one."""
    one = ipaddress.ip_address(address)
    return all(map(_is_public, (one, *_inside(one))))


def _is_public(one: _Address) -> bool:
    special = one.is_multicast or one.is_reserved or one.is_unspecified
    return one.is_global and not special and not any(one in network for network in _SHUNNED)


def _inside(one: _Address) -> list[_Address]:
    """The IPv4 addresses that an IPv6 address leads to, on some networks."""
    if isinstance(one, ipaddress.IPv4Address):
        return []
    if one.ipv4_mapped is not None:
        return [one.ipv4_mapped]
    if one in _NAT64:
        return [ipaddress.IPv4Address(int(one) & 0xFFFF_FFFF)]
    return [*filter(None, (one.sixtofour, *(one.teredo or ())))]


def is_private_host(host: str) -> bool:
    """Whether a host is written as an address, or as this machine's name, that isn't of the internet.
    Other names have to be resolved to be known."""
    try:
        return not is_public(host)
    except ValueError:
        return host.rstrip(".") == "localhost"
