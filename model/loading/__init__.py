"""From a SPEC to a backbone: named models, the hub, loading."""
