"""What an event is: types, ids, entity lifecycles, verdicts. Pure; imports nothing of ours."""
