"""From (profile, fleet) to a plan: pure functions around an integer linear program."""
