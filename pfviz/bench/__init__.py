"""How fast pfviz is, in ratios against a peer or a floor measured in the same run."""
