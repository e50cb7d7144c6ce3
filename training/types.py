"""Names for the array and tensor types of this package; shapes stand in the docstrings."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from torch import Tensor

Float16Array = npt.NDArray[np.float16]
"""Embeddings as they are stored."""
FloatArray = npt.NDArray[np.floating]
"""Numbers of either precision."""
Embeddings = FloatArray
"""(N, D), float32 or float16, in memory or memory-mapped."""
Tensors: TypeAlias = "dict[str, Tensor]"
"""Tensors by name, such as a state dict."""
