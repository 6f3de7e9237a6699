"""`python -m strangler.gateway`: started by the supervisor, not by hand."""

import json
import sys
from pathlib import Path

from strangler.gateway.worker import Settings, main

given = json.loads(sys.argv[1])
main(
    Settings(
        slot=given["slot"],
        listener=given["listener"],
        control=given["control"],
        feed=given["feed"],
        state=Path(given["state"]),
    )
)
