"""How well judges of networks agree with what trainings say, and what that is worth to a search."""
