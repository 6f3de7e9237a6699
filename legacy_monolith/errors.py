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


class KeyReused(Refused):
    """The key of an order belongs to another order of the account."""


class OutOfStock(Refused):
    """There is less in the warehouses than was ordered."""


class NotPaid(Refused):
    """The card was declined, or the balance of the account is too small."""


class Contradiction(Refused):
    """A service tells what cannot be after what is known here."""


class NotReached(Refused):
    """Stock or payments could not be had for too long, so the order was cancelled."""


class NotLoggedIn(Refused):
    """The thing is for callers who have logged in."""


class Forbidden(Refused):
    """The request was not made by a page of ours, or the password is wrong."""


class OutOfTurn(Refused):
    """The order cannot take this step from where it is, or the form has been used already."""


class TooMany(Refused):
    """The caller has asked too often, or too many ask at once; after `retry_after` seconds it may go better."""

    def __init__(self, text: str, retry_after: int) -> None:
        super().__init__(text)
        self.retry_after = retry_after


class TooManyAttempts(TooMany):
    """Too many wrong passwords for one account."""


class UnusableDatabase(Exception):
    """The database file cannot be opened, or is not the shop's; the text is one line for the operator."""


class WrongUse(Exception):
    """The command line or the environment asks for what there is not; the text is one line for the operator."""


class UnusableKeys(Exception):
    """The file of the keys for tokens cannot be used; the text is one line for the operator."""
