"""Mixtures as values, and the M-step that makes them of sufficient statistics. Nothing here knows rows.

parameters = maximise(statistics)
"""
