"""The type variables of framers and framed protocols, for the type checker.

One that is not given means Any, as PEP 696 has it: at run time that needs Python 3.13, and a type
checker needs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    M = TypeVar("M", default=Any)
    M_co = TypeVar("M_co", covariant=True, default=Any)
    D = TypeVar("D")
else:
    from typing import TypeVar

    M = TypeVar("M")
    M_co = TypeVar("M_co", covariant=True)
    D = TypeVar("D")
