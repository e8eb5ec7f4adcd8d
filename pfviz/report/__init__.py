"""The headless face: runs scenarios to their end and says what happened, as JSON or as text."""
