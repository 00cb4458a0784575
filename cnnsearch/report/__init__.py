"""What a run found: leaderboard and front for the terminal, and a report to send.

The terminal's part imports nothing heavy; :func:`cnnsearch.report.report.write_report` draws.
"""

from cnnsearch.report.leaderboard import (
    CostName,
    leaderboard,
    longest,
    pareto_front,
    pareto_plot,
    results_table,
)

__all__ = ["CostName", "leaderboard", "longest", "pareto_front", "pareto_plot", "results_table"]
