"""What a gateway hands to the observer: the exchange, the frames that carry it, and the sheet of counters.

Both processes import this room and nothing of each other. Any other data plane may feed the observer by
writing the same frames (docs/decisions/0005-exchange-room.md).
"""
