"""The demo's customers who can log in: accounts 1 to 8, all with one password, which is no secret.

The hashes stand here made, for making eight of them would hold up the first start of every new shop by seconds.
"""

import sqlite3

from legacy_monolith import passwords

PASSWORD = "tea for two"

_HASHES = {
    1: "scrypt$16384$8$5$WicmKxcZ5yP8TzemTJsIUQ==$hBpodVLUWyWkXtguXdFDDglvDl4tWMbogXeSxkm6sp0=",
    2: "scrypt$16384$8$5$xDOljY9o1UG0TTbKOF6yqw==$I9IyQV92j1NZXnN1gMn0MXhTJxKG12sM1l3jZUO87zU=",
    3: "scrypt$16384$8$5$MP9JX53v4xlFoDXAP8oJgg==$a4BCEN4lEspAIxwKw/9A5Ofzww3Kihy1Kzph2jkkEI4=",
    4: "scrypt$16384$8$5$B8mMYew1jLDYw+MFHASQIQ==$vbvDMQMJ2YfVZ9RWKgvOotzzXToKI1ueWCwo3oF60vQ=",
    5: "scrypt$16384$8$5$qD0T3MLZHKd5/nljTW9PWQ==$eTvwoOm8yaunA+A8H8sEa0nztSjL2sacTw0FGF2dfgE=",
    6: "scrypt$16384$8$5$wdAZYVYWx7beZgnpA8RFKg==$c6qL+2u8Eb+vwLC/N1MaZ+dDqHs3QsU2gDGZODzYpTk=",
    7: "scrypt$16384$8$5$dFVFyzvuvqA71bcCVG2n9Q==$1JfXVEuDCrszZJTBI6xc2xOHzuCIjTdLkOkHUA/mD1c=",
    8: "scrypt$16384$8$5$d6H2dtevsEbFX4A4gvQDMQ==$6epQ5yngWGifSiAmUWtPUmb9eA/yce//P9Ux/P3YI3k=",
}


def fill(db: sqlite3.Connection) -> None:
    """Give the demo's customers their password; the caller holds the transaction."""
    for account_id, kept in _HASHES.items():
        passwords.keep(db, account_id, kept)
