"""Checks of claims, one kind in each module."""
