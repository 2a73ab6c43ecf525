"""The command's entry point. Nothing is imported before Ctrl-C is looked after: in the 50 ms that imports take, Python
would answer it with a traceback."""

import signal


def main() -> None:
    """Runs the command line and ends the process with its status."""
    # Whoever starts us may have it ignored (nohup, a job in the background): that stays so.
    is_ours = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if is_ours:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from glassfs import cli

    if is_ours:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    cli.main()
