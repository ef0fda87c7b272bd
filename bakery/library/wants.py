"""What the stacks want of a library's families, and how a stack gives one back."""

import threading

from bakery.library.base import Library, Want


class Wants:
    """What all stacks want: listed once for many deletions, and kept up to date with the changes that it makes."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._wants: dict[tuple[str, str], Want] | None = None

    def listed(self, library: Library) -> tuple[Want, ...]:
        """Return what all stacks wanted at the first call, and what this stack wants now. Raises Uncertain."""
        with self._lock:
            if self._wants is None:
                self._wants = {(want.stack, want.family): want for want in library.wants()}
            return tuple(self._wants.values())

    def put(self, library: Library, want: Want) -> None:
        """Register a want, see :meth:`Library.want`."""
        library.want(want)
        self.note(want)

    def note(self, want: Want) -> None:
        """Remember a want that the library has been given."""
        with self._lock:
            if self._wants is not None:
                self._wants[want.stack, want.family] = want

    def drop(self, library: Library, stack: str, family: str, token: str) -> bool:
        """Withdraw a want, see :meth:`Library.drop_want`."""
        free = library.drop_want(stack, family, token)
        with self._lock:
            if self._wants and (want := self._wants.get((stack, family))) and want.token == token:
                del self._wants[stack, family]
        return free

    def give_back(self, library: Library, own: Want, *, derived: bool) -> str:
        """Withdraw what a stack wants; a family that no stack wants any more points at nothing.

        ``derived`` is whether the image was made for this family alone, as that of a channel: it is deprecated, too.
        Returns a message that says what became of the family. Raises Uncertain, BakeryError.
        """
        # State and library differ after an update that failed, or whose engine was killed before it saved the state.
        mine = {want.image for want in self.listed(library) if (want.stack, want.family) == (own.stack, own.family)}
        if not self.drop(library, own.stack, own.family, own.token):
            stacks = sorted(want.stack for want in self.listed(library) if want.family == own.family)
            return f"did not change {own.family}: wanted by {', '.join(stacks) or 'another stack'}"
        why = f"{own.stack} does not want it any more"
        done = any(library.unpromote(image, own.family, why=why) for image in {*mine, own.image})
        if derived:
            library.deprecate(own.image)
        if done:
            return f"{own.family} now points at no image"
        return f"did not change {own.family}: it points at another image"
