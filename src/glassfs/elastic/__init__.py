"""Elasticsearch and OpenSearch: what is shipped there, how, and what must be set up first. Knows no terminal."""
