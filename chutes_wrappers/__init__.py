"""Wraps Docker images that serve HTTP for Chutes.ai."""
