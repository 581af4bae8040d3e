"""`python -m omnisrc` is `omnisrc`."""

from omnisrc.cli.main import main

main()
