"""The screens: gallery, lab, compare, help, and the small ones that ask."""
