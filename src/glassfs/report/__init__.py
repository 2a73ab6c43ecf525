"""Answers drawn as text for a terminal. Holds no SQL and prints nothing."""

from __future__ import annotations

from glassfs.report.summary import render_summary

__all__ = ["render_summary"]
