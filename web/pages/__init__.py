"""The pages that people look at, one module a theme."""
