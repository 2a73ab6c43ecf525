"""Measures glassfs beside native, strace and LoggedFS. `python -m bench`; knows the recorder only as a command."""
