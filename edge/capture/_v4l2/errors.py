"""The meaning of the kernel's error numbers for a camera, and the fix for each."""

from __future__ import annotations

import contextlib
import errno
import os
from typing import Dict, Iterator, Tuple, Type

from edge.errors import EdgeError, NoInputError, TempError

_FOUND: Dict[int, Tuple[Type[EdgeError], str]] = {
    errno.ENOENT: (NoInputError, "no such camera; is it plugged in? see: ls /dev/video*"),
    errno.EACCES: (
        NoInputError,
        "no permission to open it; add the user to group video: sudo usermod -aG video USER",
    ),
    errno.EPERM: (NoInputError, "no permission to use it; add the user to group video"),
    errno.EISDIR: (NoInputError, "is a folder, not a camera"),
    errno.ENOTTY: (NoInputError, "is not a camera"),
    errno.EBUSY: (TempError, "another program is using it; see: fuser -v DEVICE"),
    errno.ENODEV: (TempError, "the camera was unplugged"),
    errno.ENXIO: (TempError, "no camera behind this device"),
    errno.ENOSPC: (
        TempError,
        "not enough USB bandwidth left; use format=MJPG, a smaller size or another USB port",
    ),
    errno.ENOMEM: (TempError, "the driver has no memory for its buffers; use a smaller size"),
    errno.EIO: (TempError, "the camera reports an input/output error; is the cable fine?"),
    errno.EPROTO: (TempError, "the camera broke the USB protocol; plug it in again"),
}


def explain(device: str, doing: str, error: OSError) -> EdgeError:
    """The EdgeError for a kernel error: one line with device, cause and fix.

    Args:
        device: its path.
        doing: the failed action, such as "set the picture format".
        error: from the kernel.
    """
    kind, text = _FOUND.get(error.errno or 0, (TempError, ""))
    if not text:
        text = f"cannot {doing}: {os.strerror(error.errno) if error.errno else error}"
    return kind(f"{device}: {text.replace('DEVICE', device)}")


@contextlib.contextmanager
def explained(device: str, doing: str) -> Iterator[None]:
    """Turn an OSError inside into an EdgeError.

    Raises:
        NoInputError: the device is missing, not permitted or no camera.
        TempError: another error, which may pass.
    """
    try:
        yield
    except OSError as error:
        raise explain(device, doing, error) from error
