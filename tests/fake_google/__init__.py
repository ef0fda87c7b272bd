"""A fake Google Cloud that speaks the REST protocol, held to Google's published discovery documents."""
