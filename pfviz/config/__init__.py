"""What a person sets: the settings, where they come from, keymaps. Knows no screen."""
