"""Pictures of a domain's screen."""

from __future__ import annotations

import io

import libvirt

from ._libvirt import spoken
from .spec import Screenshot


def take_screenshot(domain: libvirt.virDomain, host: str) -> Screenshot:
    """What the first screen of `domain` shows now."""
    from PIL import Image

    with spoken(host, domain.name()):
        stream = domain.connect().newStream()
        domain.screenshot(stream, 0)  # as PPM or PNG, whichever this QEMU makes
        data = bytearray()
        while piece := stream.recv(1 << 18):
            data += piece
        stream.finish()
    picture = Image.open(io.BytesIO(bytes(data)))
    out = io.BytesIO()
    picture.save(out, "PNG")
    return Screenshot(out.getvalue(), picture.width, picture.height)
