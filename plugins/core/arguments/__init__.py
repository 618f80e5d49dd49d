"""What a wrong call should have been: other libraries' names, misspellings, and messages that say what to write."""

from . import missing_names as missing_names
