"""`python -m imagint_privacy.cli`: the `imagint` command where no script was installed."""

from imagint_privacy.cli import main

if __name__ == "__main__":
    main(prog_name="imagint")
