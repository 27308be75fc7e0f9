"""The state of a database: what may be shown of it, what is wrong with it, and how two checks of it differ."""
