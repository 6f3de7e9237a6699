"""From an application to a process that listens, and leaves when it is told to."""

import asyncio
import signal

from aiohttp import web

PATIENCE = 5.0  # seconds that answers in the making get at the end


async def serve(app: web.Application, host: str, port: int) -> None:
    """Answer on host and port (0: any that is free) until SIGTERM or SIGINT. Raises OSError.

    Prints one line, `listening on http://HOST:PORT`, as soon as requests are answered.
    """
    leave = asyncio.Event()
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signal_number, leave.set)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=PATIENCE)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        name = f"[{host}]" if ":" in host else host
        print(f"listening on http://{name}:{runner.addresses[0][1]}", flush=True)
        await leave.wait()
    finally:
        await runner.cleanup()
