"""The command line: parse, one call, render.

A command stands in a module that imports nothing heavy at its top; what it does is imported when it runs, so that
`--help` and shell completion answer at once.
"""
