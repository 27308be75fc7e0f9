"""A process with the live view on its standard error, as a test of terminals starts it: SITUATION, and seconds.

A third word `fail` lets it end by an error."""

import sys
import time

from burst.cli import common, live_display, terminals
from tests import live_situations


def main() -> None:
    """Shows a situation for a while, on a terminal that can be drawn on."""
    name, seconds = sys.argv[1], float(sys.argv[2])
    output = common.Output()
    output.say("before")
    if not terminals.can_draw(output):
        output.say("lines")
        return
    situation, _ = live_situations.SITUATIONS[name]()
    display = live_display.LiveDisplay(output)
    display.show(situation)
    display.start()
    try:
        time.sleep(seconds)
        if sys.argv[3:] == ["fail"]:
            raise RuntimeError("a made-up error")
    finally:
        display.close()
    output.say("given back")


if __name__ == "__main__":
    main()
