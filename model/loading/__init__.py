"""From a SPEC to a backbone: the models that have a name, the hub, opening."""
