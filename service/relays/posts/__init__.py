"""Posts of lists, such as a unit's liaison or a class's headteacher: who holds one, handed over."""
