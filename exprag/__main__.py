"""`python -m exprag` is the `exprag` command."""

from exprag.cli.main import main

if __name__ == "__main__":
    main()
