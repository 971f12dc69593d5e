"""Search spaces and architectures as YAML files."""
