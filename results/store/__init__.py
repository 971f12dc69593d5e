"""Folders on disk: runs, trainings, studies and their settings."""
