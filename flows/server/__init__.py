"""The server that `os-train server` keeps: Prefect's, with one worker, on this machine's loopback."""
