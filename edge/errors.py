"""The errors that a user can cause or must be told, each with its exit code (sysexits.h).

EdgeError
├── ConfigError       78  the configuration or a recipe is wrong
├── DataError         65  the content of a file is wrong
├── NoInputError      66  a named file or camera is not there
├── UnavailableError  69  a package, library or service is missing
├── TempError         75  it may work later: a lost camera, a full disk
└── InternalError     70  a bug of this program
"""

from __future__ import annotations

from edge.masking import masked

# Exit codes that are no EdgeError's: 128 + the number of a signal, as shells count.
INTERRUPTED = 130  # SIGINT
PIPE_CLOSED = 141  # SIGPIPE: the reader of standard output has left


class EdgeError(Exception):
    """One line for the user: where, what is wrong, and the fix. Secrets in it are masked."""

    exit_code = 1

    def __init__(self, text: str = "") -> None:
        super().__init__(masked(text))


class ConfigError(EdgeError):
    """A key, value or recipe that cannot be used."""

    exit_code = 78


class DataError(EdgeError):
    """A file with wrong content."""

    exit_code = 65


class NoInputError(EdgeError):
    """A named file or camera that does not exist or cannot be opened."""

    exit_code = 66


class UnavailableError(EdgeError):
    """A package, library or service that is needed and missing."""

    exit_code = 69


class TempError(EdgeError):
    """A failure that may pass: the same call may work later."""

    exit_code = 75


class InternalError(EdgeError):
    """A bug of this program."""

    exit_code = 70
