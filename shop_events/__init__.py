"""What carries the shop's events from one program to another: outbox, relay, streams, dead letters, and their commands.

The one library that the monolith and its services share. It knows no event, no rule of the business and none of these
programs: each says in a `Program` what it has to be told. What an event means is in the words of whoever takes it.
"""
