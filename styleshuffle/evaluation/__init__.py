"""Measures of results, and the losses that reshuffling connects."""
