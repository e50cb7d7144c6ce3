"""Evaluation reports: HTML page, tables and charts, and the summary for the terminal."""
