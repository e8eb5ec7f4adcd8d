"""`[[thread.op]]` of userfaultfd: what a process registers, and what its monitor calls."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from pfviz.scenario.tables import PLACE, At, Operation, Pages

UffdModes = Annotated[
    tuple[Literal["missing", "wp", "minor"], ...],
    Meta(min_length=1, description="which faults a userfaultfd serves"),
]


class UffdOpen(Operation, frozen=True, kw_only=True, tag="uffd_open"):
    """Open a userfaultfd for the process, if it is to have features."""

    features: Annotated[
        tuple[
            Literal["sigbus", "wp_async", "wp_unpopulated", "event_fork", "event_unmap",
                    "event_remove", "event_remap"], ...
        ],
        Meta(description="what UFFDIO_API is asked for"),
    ] = ()  # fmt: skip
    user_mode_only: Annotated[bool, Meta(description="the kernel's own faults get SIGBUS")] = False


class UffdRegister(Operation, frozen=True, kw_only=True, tag="uffd_register"):
    """Let the userfaultfd of the process serve faults in pages."""

    at: At
    pages: Pages
    modes: UffdModes = ("missing",)


class UffdUnregister(Operation, frozen=True, kw_only=True, tag="uffd_unregister"):
    """Let the kernel serve faults in pages again."""

    at: At
    pages: Pages


class UffdCall(Operation, frozen=True, kw_only=True):
    """A call of a monitor on its descriptor."""


class UffdPoll(UffdCall, frozen=True, kw_only=True, tag="uffd_poll"):
    """Sleep until a fault or event can be read from the userfaultfd."""


class UffdRead(UffdCall, frozen=True, kw_only=True, tag="uffd_read"):
    """Read the next fault or event; its page is the slot "uffd" from now on."""


class UffdClose(UffdCall, frozen=True, kw_only=True, tag="uffd_close"):
    """Close the userfaultfd: faults go on as if it had never been."""


class UffdPages(UffdCall, frozen=True, kw_only=True):
    """What the calls on pages may say."""

    at: Annotated[str, Meta(min_length=1, description=PLACE)] = "uffd"
    pages: Pages = 1
    wake: Annotated[bool, Meta(description="wake who waits for these pages")] = True


class UffdResolve(UffdPages, frozen=True, kw_only=True, tag="uffd_resolve"):
    """Answer what was read last by the call that it needs."""


class UffdCopy(UffdPages, frozen=True, kw_only=True, tag="uffd_copy"):
    """Put pages with contents in (UFFDIO_COPY)."""

    source: Annotated[str, Meta(description="where the contents are; left out: in memory")] = ""
    protect: Annotated[bool, Meta(description="write-protected")] = False


class UffdMove(UffdPages, frozen=True, kw_only=True, tag="uffd_move"):
    """Move pages that the process has elsewhere (UFFDIO_MOVE)."""

    source: At


class UffdZeropage(UffdPages, frozen=True, kw_only=True, tag="uffd_zeropage"):
    """Put zero pages in (UFFDIO_ZEROPAGE)."""


class UffdContinue(UffdPages, frozen=True, kw_only=True, tag="uffd_continue"):
    """Map pages of shared memory that are in the page cache (UFFDIO_CONTINUE)."""


class UffdProtect(UffdPages, frozen=True, kw_only=True, tag="uffd_protect"):
    """Write-protect pages, to be told of writes (UFFDIO_WRITEPROTECT)."""


class UffdUnprotect(UffdPages, frozen=True, kw_only=True, tag="uffd_unprotect"):
    """Lift the write protection of pages."""


class UffdWake(UffdPages, frozen=True, kw_only=True, tag="uffd_wake"):
    """Only wake who waits for pages (UFFDIO_WAKE)."""
