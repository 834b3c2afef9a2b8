"""The report stage: run records in, files that people read out.

Nothing here knows any mathematics: it sees only the dictionaries of a run record (``results.json``, schema 1) and of
exported derivations.
"""

from verify.report.derivations import write_derivations
from verify.report.page import write_report

__all__ = ["write_derivations", "write_report"]
