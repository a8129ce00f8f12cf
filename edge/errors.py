"""The errors that a user can cause or must be told, each with its exit code (sysexits.h).

EdgeError
├── ConfigError       78  the configuration or a recipe is wrong
├── DataError         65  a file is there but is not what it should be
├── NoInputError      66  a file, camera or image that was named is not there
├── UnavailableError  69  something outside is missing: a package, a broker, a library
├── TempError         75  it may work later: a camera that went away
└── InternalError     70  a broken promise of ours
"""

from __future__ import annotations

from edge.masking import masked

# Exit codes that are no EdgeError's: 128 + the number of a signal, as shells count.
INTERRUPTED = 130  # SIGINT
PIPE_CLOSED = 141  # SIGPIPE: nobody reads standard output any more


class EdgeError(Exception):
    """One line for the user: what is wrong, where, and the fix. Secrets in it are masked."""

    exit_code = 1

    def __init__(self, text: str = "") -> None:
        super().__init__(masked(text))


class ConfigError(EdgeError):
    """A key, value or recipe that cannot be used."""

    exit_code = 78


class DataError(EdgeError):
    """A file whose content is not what it should be."""

    exit_code = 65


class NoInputError(EdgeError):
    """A named input that does not exist or cannot be opened."""

    exit_code = 66


class UnavailableError(EdgeError):
    """A service, package or library that is needed and missing."""

    exit_code = 69


class TempError(EdgeError):
    """A failure that may pass: the same call may work later."""

    exit_code = 75


class InternalError(EdgeError):
    """A promise of our own that was broken."""

    exit_code = 70
