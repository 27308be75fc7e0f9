"""What every load program of a burst agrees on: settings, its share of the rate, event ids, send times, lateness.

Standard library only. A program imports it without Locust, starts in hundredths of a second, and runs in a task image
or in an operator's folder alike. `profiles/` holds the programs that ship with burst.
"""
