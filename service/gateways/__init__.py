"""One file for each kind of way out; they are found by `channels.registry`, nobody imports them."""
