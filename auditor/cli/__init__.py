"""The command line: arguments only, one module a command."""
