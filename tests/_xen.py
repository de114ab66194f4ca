"""What tests of Xen machines share: how long things may take where every processor is emulated."""

from __future__ import annotations

PATIENCE_S = 600
