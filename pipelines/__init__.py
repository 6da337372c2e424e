"""The program: command line, sync and check."""
