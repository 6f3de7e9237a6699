"""`python -m strangler.observer`: started by the supervisor, not by hand."""

import json
import sys
from pathlib import Path

from strangler.observer.process import Settings, main

given = json.loads(sys.argv[1])
main(
    Settings(
        admin=given["admin"],
        feed=given["feed"],
        control=given["control"],
        state=Path(given["state"]),
        routes=Path(given["routes"]),
    )
)
