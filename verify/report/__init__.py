"""The report stage: run records in, files that people read out.

Nothing here knows any mathematics: it sees only the dictionaries of a run record (``results.json``, schema 1), of
exported derivations and of errata.
"""

from verify.report.derivations import write_derivations
from verify.report.errata import write_errata
from verify.report.page import write_report

__all__ = ["write_derivations", "write_errata", "write_report"]
