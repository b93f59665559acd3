"""``python -m oxcart`` is the ``oxcart`` command."""

from oxcart.cli.main import main

if __name__ == "__main__":
    main()
