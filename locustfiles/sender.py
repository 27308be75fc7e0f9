"""The load program `burst/load/profiles/sender.py`, started by its path in a clone or a task image.

BURST_HOST=http://127.0.0.1:8080 IG_API_KEY=... python locustfiles/sender.py
"""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))  # the clone, where burst is not installed

from burst.load.profiles import sender

if __name__ == "__main__":
    sender.main()
