"""Tests of the readers, on traces that `tracewriter` writes."""
