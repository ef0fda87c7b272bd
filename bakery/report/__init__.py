"""Reports: JSON with a schema, from which tables, Markdown and HTML are rendered."""
