"""pfviz in a browser: a page, and a process of its own for everybody who opens it."""
