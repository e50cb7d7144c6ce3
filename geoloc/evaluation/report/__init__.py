"""Evaluation reports: HTML pages, tables and charts, and the terminal summary."""
