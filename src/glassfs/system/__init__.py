"""The machine's own figures, sampled at a set period into a folder beside the traces, in the shape of Metricbeat 7.17's
system module. Knows /proc and psutil; knows no server and no recorder.
"""
