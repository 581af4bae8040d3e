"""`python -m omnisrc` is `omnisrc`."""

import gc


def start() -> None:
    """Entry point. No garbage is collected while modules are imported: what they make is there to stay."""
    gc.disable()
    from omnisrc.cli.main import main

    main()


if __name__ == "__main__":
    start()
