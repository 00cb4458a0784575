"""Runs the command line: ``python -m cnnsearch`` is ``cnnsearch``."""

import signal


def run() -> None:
    """Imports and runs the command line; Ctrl-C ends the import without a traceback.

    SIGTERM does what Ctrl-C does, at any moment of a command, so that a service manager's stop ends
    it in good order too.
    """
    handler = signal.getsignal(signal.SIGINT)
    if handler is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from cnnsearch.cli import run_program

    signal.signal(signal.SIGINT, handler)
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    run_program()


if __name__ == "__main__":
    run()
