"""Rows as the operators' wire types: plain functions of a reading session."""
