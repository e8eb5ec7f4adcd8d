"""Folds over events, painted as styled rows; knows no terminal."""
