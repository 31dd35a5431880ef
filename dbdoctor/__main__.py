"""`python -m dbdoctor` does what the console script does."""

from __future__ import annotations

from dbdoctor.cli import main

if __name__ == "__main__":
    main()
