"""Sentences and tables for terminals and pages."""
