"""`python -m storymem_core.training STAGE SIZE --out DIR [--minutes N]`."""

import sys

from .command import main

sys.exit(main())
