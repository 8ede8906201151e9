"""A lease in words."""


def text(lease) -> str:
    """192.168.1.7/24 from 192.168.1.1, routes ..., dns ..., 600 s"""
    text = "%s from %s" % (lease.address, lease.server)
    for name in ("routes", "dns", "ntp", "search"):
        found = getattr(lease, name)
        if found:
            if name == "routes":
                found = ["%s via %s" % (to, via or "link") for to, via in found]
            text += ", %s %s" % (name, " ".join(found))
    n = lease.seconds
    return text + (", for ever" if n is None else ", %d s" % n)
