"""The review of a placed library: its page, the decisions, and writing them into the library."""
