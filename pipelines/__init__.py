"""The program: command line, sync and check."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("posthog-warehouse")
except PackageNotFoundError:  # run from a checkout that is not installed
    __version__ = "0"
