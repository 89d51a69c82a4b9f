"""`python -m imagint_dev.postgres`: have PostgreSQL's programs on this machine, or say loudly why they are not.

Part of the tests' set-up. It ends well all the same: the tests that need a server skip without one, and fail in CI.
"""

import sys

from imagint_dev.errors import BuildFailedError
from imagint_dev.postgres.programs import ensure

if __name__ == "__main__":
    try:
        ensure(lambda text: print(text, file=sys.stderr, flush=True))
    except BuildFailedError as error:
        print(f"The tests on PostgreSQL cannot run: {error}", file=sys.stderr, flush=True)
