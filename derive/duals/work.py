"""What enclosing a mean may cost, counted in operations on balls: the same on every machine, unlike seconds."""

from __future__ import annotations

from dataclasses import dataclass

from derive.duals.balls import NotIntegrable

MOST_OPERATIONS = 50_000_000
"""What one mean may take unless something else is said, about a minute; chosen."""
OF_A_POINT = 4
"""Operations that a point costs besides the value of a function; measured."""


class TooMuchWork(NotIntegrable):
    """A Gaussian mean that is not enclosed within the work that is allowed; with more of it, it may be."""


@dataclass(slots=True)
class Work:
    """An allowance that is used up; whatever shares it gets what the others left.

    Attributes:
        limit: how many operations are allowed.
        spent: how many there were.
    """

    limit: int = MOST_OPERATIONS
    spent: int = 0

    def spend(self, operations: int) -> None:
        """Count operations.

        Raises:
            TooMuchWork: if there are more than allowed.
        """
        self.spent += operations
        if self.spent > self.limit:
            raise TooMuchWork(
                f"expected a mean that takes at most {self.limit:,} operations on balls, this one takes more: "
                "allow more work or ask for fewer digits"
            )
