"""The exit status of the program."""

EXIT_OK = 0
EXIT_FAILURE = 1
"""It failed at run time."""
EXIT_USAGE = 2
"""The command line or the configuration is wrong."""
