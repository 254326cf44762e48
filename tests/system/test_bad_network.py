"""Networks that lose, repeat, mix up and damage, and servers that misbehave or die."""
