"""Pages on people: lists, imports, groups, single persons, numbers never sent to, areas."""
