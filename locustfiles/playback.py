"""The load profile `burst/load/profiles/playback.py` under the path that plans and task images give it.

    IG_API_KEY=... BURST_PLAYBACK='{"source": "recording.jsonl", "key": "account"}' \\
        locust -f locustfiles/playback.py --headless -H http://127.0.0.1:8080 --burst-rate 1400

Locust takes the users of this module's namespace. In a clone it needs no package but Locust.
"""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1]))  # the clone, where burst is not installed

from burst.load.profiles.playback import PlaybackUser

__all__ = ["PlaybackUser"]
