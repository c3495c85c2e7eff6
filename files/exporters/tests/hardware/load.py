"""A small load on one GPU, by PyTorch: `python load.py` with a Python that has it.

It says in one line of JSON what it holds once it computes, and ends when its input does.
"""

import json
import os
import sys
import threading

SIDE = 8192
HELD_BYTES = 4 << 30


def wait_for_end(ended: threading.Event) -> None:
    """Set `ended` when the input ends."""
    sys.stdin.read()
    ended.set()


def main() -> None:
    """Compute until the input ends."""
    import torch

    if not torch.cuda.is_available():
        sys.exit("this PyTorch sees no GPU")
    device = torch.device("cuda:0")
    held = torch.zeros(HELD_BYTES, dtype=torch.uint8, device=device)
    left, right = (torch.randn(SIDE, SIDE, dtype=torch.bfloat16, device=device) for _ in range(2))
    ended = threading.Event()
    threading.Thread(target=wait_for_end, args=(ended,), daemon=True).start()
    torch.mm(left, right)
    torch.cuda.synchronize()
    uuid = f"GPU-{torch.cuda.get_device_properties(0).uuid}"
    told = {"pid": os.getpid(), "bytes": held.numel(), "gpu_uuid": uuid}
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()
    while not ended.is_set():
        for _ in range(20):
            torch.mm(left, right)
        torch.cuda.synchronize()


if __name__ == "__main__":
    main()
