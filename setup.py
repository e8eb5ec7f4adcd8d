"""Lists the packages: those under pfviz/, and scenarios/ under the name `pfviz.bundled`.

Everything else is in pyproject.toml, whose package finder cannot rename a folder.
"""

from setuptools import find_packages, setup

setup(packages=[*find_packages(include=["pfviz*"]), "pfviz.bundled"])
