"""Everything the shop refuses to do, as one small tree.

The contexts raise these; `legacy_monolith.problems` alone knows the HTTP status of each.
"""


class Refused(Exception):
    """The shop will not do what was asked; the text says why, for the caller."""


class Malformed(Refused):
    """The request cannot be understood."""


class NotFound(Refused):
    """The thing that the request names does not exist."""


class UnknownReference(Refused):
    """The request is well formed, yet speaks of a product or an account that does not exist."""


class OutOfStock(Refused):
    """There is less in the warehouses than was ordered."""


class NotPaid(Refused):
    """The card was declined, or the balance of the account is too small."""


class NotReached(Refused):
    """Stock or payments could not be had for too long, so the order was cancelled."""


class UnusableDatabase(Exception):
    """The database file cannot be opened, or is not the shop's; the text is one line for the operator."""


class WrongUse(Exception):
    """The command line or the environment asks for what there is not; the text is one line for the operator."""
