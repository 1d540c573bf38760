"""Whether the hub of models and data sets can be asked at all."""

import socket
from urllib.parse import urlsplit
from urllib.request import getproxies


def is_hub_known() -> bool:
    """Whether the hub's name resolves. Without a network its client retries for a minute."""
    from huggingface_hub.constants import ENDPOINT

    if getproxies():
        return True
    try:
        socket.getaddrinfo(urlsplit(ENDPOINT).hostname, None)
    except OSError:
        return False
    return True
