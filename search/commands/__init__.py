"""The commands: one module each; options to requests, and a call of the job."""
