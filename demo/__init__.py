"""What `make demo` runs: a migration from its first shadow to a rollback, with nothing in it made up.

Real processes on real sockets with real databases; the demo itself only starts them, plays the customers, and
types the commands that an operator would type. It knows the proxy from outside, as any user does, and therefore
never imports `strangler`.

`story` lists the chapters, which are in `watching` and `moving`; `play` is what they have in hand, `stage` what they
are played on, `traffic` the customers, `proofs` what is held against their answers and the reports, `processes` the
starting and ending, `screen` the printing.
"""
