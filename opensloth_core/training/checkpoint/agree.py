"""How ranks learn of each other's problems, so that all of them end and none waits for ever."""

import torch
import torch.distributed as dist

MESSAGE_BYTES = 2048


def first_problem(problem: str | None, device: str) -> str | None:
    """The problem of the lowest rank that has one, given to every rank; every rank has to call this.

    Args:
        problem: what went wrong here, if anything; cut to what a message holds.
        device: torch device of this rank, over which the ranks talk.
    """
    if not dist.is_initialized() or dist.get_world_size() == 1:
        return problem
    message = torch.zeros(MESSAGE_BYTES, dtype=torch.uint8)
    encoded = (problem or "").encode()[:MESSAGE_BYTES]
    message[: len(encoded)] = torch.tensor(list(encoded), dtype=torch.uint8)
    message = message.to(device)
    messages = [torch.empty_like(message) for _ in range(dist.get_world_size())]
    dist.all_gather(messages, message)
    texts = (bytes(m.tolist()).rstrip(b"\0").decode(errors="ignore") for m in messages)
    return next((text for text in texts if text), None)
