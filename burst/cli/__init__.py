"""The command line: parse, one call, render.

Every command stands in its own module that imports nothing but click at its top; what a command needs is imported
when it runs, so that `--help` and shell completion answer at once.
"""
