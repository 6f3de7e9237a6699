"""The group of all commands, and the one place that turns errors into exit codes."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import NoReturn

import click

from strangler import __version__
from strangler.cli.check import check
from strangler.cli.compare import compare
from strangler.cli.diagram import diagram
from strangler.cli.explain import explain
from strangler.cli.history import history
from strangler.cli.ramp import ramp
from strangler.cli.release import release
from strangler.cli.replay import replay_command
from strangler.cli.report import report
from strangler.cli.serve import serve
from strangler.cli.share import rollback, shadow, share
from strangler.cli.status import status
from strangler.cutover import CutoverError
from strangler.evidence import ReportError, StoreError
from strangler.routes import CannotEdit, Faults

INTERRUPTED = 130  # 128 + SIGINT, as shells count
PIPE_CLOSED = 141  # 128 + SIGPIPE


class _InOrder(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)


@click.group(cls=_InOrder, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="strangler")
def commands() -> None:
    """A reverse proxy that takes a legacy monolith apart, route by route, on evidence.

    routes.yaml says which service has taken over which path, and for what share of callers. The proxy copies
    traffic to the new service, compares both answers and keeps the evidence; the report says whether the
    share may rise.

    \b
    Examples:
      strangler check
      strangler serve
      strangler report payment-read --gate && strangler share payment-read 25%

    Exit codes: 0 done or yes; 1 no; 2 the request or a file is wrong; 3 inconclusive.
    """


for _command in (
    serve,
    check,
    explain,
    status,
    share,
    shadow,
    rollback,
    ramp,
    release,
    history,
    report,
    compare,
    diagram,
    replay_command,
):
    commands.add_command(_command)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code. Errors are lines on standard error."""
    try:
        code = commands.main(args=arguments, prog_name="strangler", standalone_mode=False)
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except BrokenPipeError:
        return _pipe_closed()
    except SystemExit as leaving:
        # click's own way out when a pipe is closed; its code, 1, would mean no.
        return _pipe_closed() if leaving.code == 1 else 2
    except Faults as faults:
        print(faults, file=sys.stderr)
    except (CutoverError, CannotEdit, StoreError, ReportError) as error:
        print(f"strangler: {error}", file=sys.stderr)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        print(f"strangler: {where}{error.strerror or error}", file=sys.stderr)
    return 2


def _pipe_closed() -> int:
    """What is still buffered has nowhere to go; without this, Python would complain at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    return PIPE_CLOSED


def main() -> NoReturn:
    """The console script."""
    sys.exit(run())
