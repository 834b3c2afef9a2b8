"""Prints what the calibration found, below the results of its tests."""

import pytest

COLUMNS = "check", "promised", "false alarms", "false confirmations", "power", "true and confirmed"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    rows = [
        row
        for outcome in ("passed", "failed")
        for report in terminalreporter.getreports(outcome)
        for name, row in report.user_properties
        if name == "calibration"
    ]
    if rows:
        terminalreporter.section("rates [Clopper-Pearson intervals]")
        for row in [COLUMNS, *sorted(rows)]:
            terminalreporter.line("{:<48}{:>9}".format(*row) + "".join(f"{cell:>26}" for cell in row[2:]))
