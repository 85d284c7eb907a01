"""What must hold in a site beyond its grammar: one class a rule."""
