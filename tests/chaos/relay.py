"""`python relay.py A B SECONDS`: carry every frame between two interfaces, each way so many seconds late.

Stands in for the kernel's netem where that is not built in. The virtio header that comes with a frame goes
along, so that what the sender's kernel left for a network card to do (checksums, splitting) still gets done.
"""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import sys
import time
from collections import deque

_ETH_P_ALL = 3
_SOL_PACKET, _ADD_MEMBERSHIP, _VNET_HDR, _PROMISCUOUS = 263, 1, 15, 1
_BUFFER = 8 << 20
_BURST = 64


def _open(interface: str) -> socket.socket:
    opened = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL))
    opened.setsockopt(_SOL_PACKET, _VNET_HDR, 1)
    opened.bind((interface, 0))
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
    wish = struct.pack("IHHQ", socket.if_nametoindex(interface), _PROMISCUOUS, 0, 0)
    opened.setsockopt(_SOL_PACKET, _ADD_MEMBERSHIP, wish)
    opened.setblocking(False)
    return opened


def main(first: str, second: str, seconds: float) -> None:
    """Carry frames until killed."""
    ends = _open(first), _open(second)
    late: deque[tuple[float, socket.socket, bytes]] = deque()
    while True:
        wait = max(0.0, late[0][0] - time.monotonic()) if late else None
        for ready in select.select(ends, [], [], wait)[0]:
            other = ends[1] if ready is ends[0] else ends[0]
            for _ in range(_BURST):
                try:
                    frame, origin = ready.recvfrom(1 << 17)
                except BlockingIOError:
                    break
                if origin[2] != socket.PACKET_OUTGOING:
                    late.append((time.monotonic() + seconds, other, frame))
        while late and late[0][0] <= time.monotonic():
            _, other, frame = late.popleft()
            with contextlib.suppress(OSError):
                other.send(frame)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], float(sys.argv[3]))
