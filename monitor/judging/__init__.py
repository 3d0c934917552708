"""One pass: gather evidence, judge every rule, move incidents, suspend, enqueue notifications."""
