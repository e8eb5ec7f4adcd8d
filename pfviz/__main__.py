"""`python -m pfviz`."""

from pfviz.cli import main

main()
