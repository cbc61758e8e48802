"""`python -m secretary`, and the `secretary` that an installation puts on the path."""

import sys

from secretary.cli.program import main

if __name__ == "__main__":
    sys.exit(main())
