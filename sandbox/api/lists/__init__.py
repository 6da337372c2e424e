"""The lists of configuration under ``/api/projects/:id/``: one declaration each, answered by one engine."""
