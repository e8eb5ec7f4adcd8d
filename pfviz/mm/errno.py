"""What system calls return when they fail: the negative numbers of the kernel, by name."""

from __future__ import annotations

from typing import Final

EPERM: Final = -1
ENOENT: Final = -2
EBADF: Final = -9
EAGAIN: Final = -11
ENOMEM: Final = -12
EFAULT: Final = -14
EBUSY: Final = -16
EEXIST: Final = -17
EINVAL: Final = -22
ENOTTY: Final = -25
