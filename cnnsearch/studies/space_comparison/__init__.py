"""Compares search spaces by the errors of random candidates."""

from cnnsearch.studies.space_comparison.study import SpaceComparison, compare_spaces

__all__ = ["SpaceComparison", "compare_spaces"]
