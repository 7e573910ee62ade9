"""What departments owe: handed in, late, decided; obligations, their dates and their texts."""
