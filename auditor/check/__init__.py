"""Rules: their files, their evaluation, and the judgement that follows from what they found."""
